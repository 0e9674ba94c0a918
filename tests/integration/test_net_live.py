"""`/bay/networks`: what front-ends see of networks, with counters of real traffic."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bayplan.core.types import Container
from support.engine import EngineProcess
from support.http import UnixConnection
from support.network import Harbour, Json, ports
from support.ports import free_port

SIZE = 1 << 20


@pytest.fixture
async def harbour(tmp_path: Path) -> AsyncIterator[Harbour]:
    made = Harbour(tmp_path)
    await made.open()
    try:
        yield made
    finally:
        await made.purge()


async def pour(harbour: Harbour, source: Container, sink: Container, address: str) -> None:
    """Send a megabyte from one container to the other."""

    def work() -> None:
        with harbour.listen(sink) as server:
            connect = lambda: socket.create_connection((address, 80), 60)  # noqa: E731
            with harbour.inside(source, connect) as client, server.accept()[0] as accepted:
                for _ in range(SIZE >> 14):
                    client.sendall(bytes(1 << 14))
                    assert len(accepted.recv(1 << 14, socket.MSG_WAITALL)) == 1 << 14

    await asyncio.to_thread(work)


def members(listed: list[Json], network: str) -> dict[str, Json]:
    found = next(it for it in listed if it["Name"] == network)
    return {it["Name"]: it for it in found["Members"]}


async def test_counters_are_the_containers_and_rates_follow(harbour: Harbour) -> None:
    """Of a bridge's members, by their host ends, and of macvlan's, which have none."""
    port = free_port()
    await harbour.networks.create({"Name": "mac", "Driver": "macvlan"})
    both: Json = {"bridge": {}, "mac": {}}
    one = await harbour.start("one", networking=both, PortBindings=ports(tcp80=f":{port}"))
    two = await harbour.start("two", networking=both)
    live = harbour.networks.live
    before = await live.read()
    assert members(before, "mac")["one"]["Rates"] is None
    for network in both:
        await pour(harbour, two, one, one.networks[network]["IPAddress"])
    after = before
    async with asyncio.timeout(120):
        async for after in live.stream():
            if members(after, "mac")["one"]["Rates"] is not None:
                break
    for network in both:
        old, new = members(before, network), members(after, network)
        assert new["one"]["IPv4Address"] == one.networks[network]["IPAddress"]
        assert set(new["one"]["Rates"]) == {"rx_bytes", "tx_bytes", "rx_packets", "tx_packets"}
        for name, way in (("one", "rx_bytes"), ("two", "tx_bytes")):
            assert new[name]["Counters"][way] - old[name]["Counters"][way] >= SIZE
    seen = members(after, "bridge")["one"]
    assert seen["IsGateway"] and seen["Interface"] == "eth0"
    assert {"Protocol": "tcp", "HostIp": "0.0.0.0", "HostPort": port, "Port": 80} in seen["Ports"]


def test_the_endpoint_lists_and_streams(engine: EngineProcess) -> None:
    listed = engine.api("GET", "/bay/networks").json()
    default = next(it for it in listed if it["Name"] == "bridge")
    assert (default["Driver"], default["Link"]) == ("bridge", engine.options.bridge)
    assert default["Subnets"][0]["Gateway"].endswith(".1")
    connection = UnixConnection(engine.socket)
    connection.request("GET", "/bay/networks/stream")
    answer = connection.getresponse()
    for _ in range(2):
        assert {it["Name"] for it in json.loads(answer.readline())} >= {"bridge", "host", "none"}
    connection.close()
