"""Ports as they are written, and the files of /etc, by Docker's rules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from bayplan.core import etcfiles, portspecs, resolvers
from bayplan.core.options import Options
from bayplan.core.portspecs import PortSpec
from bayplan.core.resolvers import ResolvConf
from bayplan.core.types import Container
from bayplan.host.errors import InvalidError

HOST = ResolvConf(["192.0.2.53", "2001:db8::53"], ["example.com"], ["edns0"])


def container(
    bundle: Path = Path("/nonexistent"), networks: dict[str, Any] | None = None, **host: Any
) -> Container:
    return Container(
        id="c" * 64,
        name="one",
        created=0,
        image="",
        image_ref="",
        config={"Hostname": "box"},
        host_config=host,
        bundle=bundle,
        networks=networks or {},
    )


BRIDGE = {"bridge": {"IPAddress": "172.20.0.2", "Gateway": "172.20.0.1"}}
USER = {"red": {"IPAddress": "172.21.0.2", "Gateway": "172.21.0.1"}}


def test_port_bindings_fixed_ports_before_chosen_ones() -> None:
    bindings = {
        "53/udp": [{"HostIp": "", "HostPort": ""}],
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000-8010"}, {"HostPort": "80"}],
    }
    assert portspecs.wanted({}, {"PortBindings": bindings}) == [
        PortSpec("tcp", 80, "", 80, 80),
        PortSpec("tcp", 80, "127.0.0.1", 8000, 8010),
        PortSpec("udp", 53, "", 0, 0),
    ]


def test_publish_all_takes_what_is_exposed_and_not_bound() -> None:
    config = {"ExposedPorts": {"80/tcp": {}, "7000-7001/udp": {}}}
    host = {"PublishAllPorts": True, "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    assert [(it.port, it.low) for it in portspecs.wanted(config, host)] == [
        (80, 8080),
        (7000, 0),
        (7001, 0),
    ]
    assert portspecs.keys(config, {}) == ["80/tcp", "7000/udp", "7001/udp"]


@pytest.mark.parametrize(
    ("key", "binding"),
    [
        ("80/icmp", {}),
        ("http/tcp", {}),
        ("80/tcp", {"HostPort": "70000"}),
        ("80/tcp", {"HostPort": "90-80"}),
        ("80/tcp", {"HostIp": "nowhere", "HostPort": "80"}),
    ],
)
def test_bad_ports_are_refused(key: str, binding: dict[str, str]) -> None:
    with pytest.raises(InvalidError, match="invalid"):
        portspecs.wanted({}, {"PortBindings": {key: [binding]}})


def test_hosts_has_local_names_extra_hosts_and_its_own() -> None:
    extra = ["db:10.0.0.9", "six:[fd00::9]", "gw:host-gateway"]
    lines = etcfiles.hosts(container(networks=BRIDGE, ExtraHosts=extra)).splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-4:] == [
        "10.0.0.9\tdb",
        "fd00::9\tsix",
        "172.20.0.1\tgw",
        "172.20.0.2\tbox",
    ]


def test_the_default_bridge_gets_the_hosts_servers_it_can_reach() -> None:
    made = etcfiles.resolv_conf(container(networks=BRIDGE), HOST)
    assert made.render() == "nameserver 192.0.2.53\nsearch example.com\noptions edns0\n"


def test_a_user_network_gets_the_embedded_server() -> None:
    made = etcfiles.resolv_conf(container(networks=USER, Dns=["192.0.2.1"]), HOST)
    assert made.servers == ["127.0.0.11"]
    assert made.options == ["edns0", "ndots:0"]
    chosen = container(networks=USER, DnsOptions=["ndots:2"], DnsSearch=["."])
    made = etcfiles.resolv_conf(chosen, HOST)
    assert (made.options, made.search) == (["ndots:2"], [])


def test_dns_flags_replace_the_hosts() -> None:
    chosen = container(networks=BRIDGE, Dns=["192.0.2.1"], DnsSearch=["a.b"], NetworkMode="bridge")
    made = etcfiles.resolv_conf(chosen, HOST)
    assert (made.servers, made.search) == (["192.0.2.1"], ["a.b"])


def test_a_file_edited_in_the_container_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "host"
    conf.write_text("nameserver 192.0.2.53\n")
    monkeypatch.setattr(resolvers, "_FILE", conf)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    it = container(bundle, BRIDGE)
    options = Options(root=tmp_path)
    etcfiles.write(it, options)
    inode = (bundle / "hosts").stat().st_ino
    conf.write_text("nameserver 192.0.2.54\n")
    etcfiles.write(it, options)
    assert (bundle / "resolv.conf").read_text() == "nameserver 192.0.2.54\n"
    (bundle / "resolv.conf").write_text("nameserver 198.51.100.1\n")
    it.networks = {"bridge": {"IPAddress": "172.20.0.3"}}
    etcfiles.write(it, options)
    assert (bundle / "resolv.conf").read_text() == "nameserver 198.51.100.1\n"
    assert (bundle / "hosts").read_text().endswith("172.20.0.3\tbox\n")
    assert (bundle / "hosts").stat().st_ino == inode
    assert (bundle / "hostname").read_text() == "box\n"


def test_a_container_that_grows_its_files_costs_nothing(tmp_path: Path) -> None:
    """It may write to them: terabytes of zeros, which are a hole on the disk, are not read."""
    options, one = Options(root=tmp_path), container(tmp_path, BRIDGE, NetworkMode="bridge")
    etcfiles.write(one, options)
    whole = {name: (tmp_path / name).read_text() for name in ("hosts", "hostname", "resolv.conf")}
    for name in whole:
        os.truncate(tmp_path / name, 1 << 40)
    etcfiles.write(one, options)
    assert (tmp_path / "hosts").read_text() == whole["hosts"]
    assert (tmp_path / "hostname").read_text() == whole["hostname"]
    assert (tmp_path / "resolv.conf").stat().st_size == 1 << 40  # edited, so it is left alone


def test_sharing_a_network_is_sharing_the_files(tmp_path: Path) -> None:
    owner, guest = tmp_path / "containers" / "owner", tmp_path / "containers" / "guest"
    for folder in (owner, guest):
        folder.mkdir(parents=True)
        for name in ("hosts", "hostname", "resolv.conf"):
            (folder / name).write_text(folder.name)
    it = container(guest, NetworkMode="container:owner")
    for _ in range(2):
        etcfiles.write(it, Options(root=tmp_path))
    assert (guest / "hosts").samefile(owner / "hosts")


def test_behind_systemd_resolved_its_servers_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("etc", "nameserver 127.0.0.53\n"), ("run", "nameserver 192.0.2.7\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(resolvers, "_FILE", tmp_path / "etc")
    monkeypatch.setattr(resolvers, "_RESOLVED", tmp_path / "run")
    assert resolvers.of_host().servers == ["192.0.2.7"]
