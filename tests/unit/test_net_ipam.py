"""Subnets and addresses are chosen so that nobody gets what somebody has."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from bayplan.core import ipam
from bayplan.core.ipam import Addresses
from bayplan.core.netmodel import Pool
from bayplan.host.errors import ForbiddenError, InvalidError
from hypothesis import given, settings
from hypothesis import strategies as st

NETWORK = st.builds(
    lambda number, bits: ip_network((number, bits), strict=False),
    st.integers(int(ip_address("172.16.0.0")), int(ip_address("172.31.255.255"))),
    st.integers(12, 30),
)


@settings(deadline=None)
@given(st.lists(NETWORK, max_size=30), st.text(max_size=5))
def test_a_default_subnet_overlaps_nothing_that_is_taken(taken: list[object], seed: str) -> None:
    try:
        found = ipam.free_subnet(taken, seed)  # type: ignore[arg-type]  # hypothesis builds networks
    except ForbiddenError:
        covered = ip_network("172.20.0.0/14")
        assert any(network.supernet_of(covered) for network in taken)  # type: ignore[attr-defined]
        return
    assert found.prefixlen == 24
    assert not any(found.overlaps(network) for network in taken)  # type: ignore[arg-type]


def test_no_subnet_is_left() -> None:
    with pytest.raises(ForbiddenError, match="non-overlapping IPv4 address pool"):
        ipam.free_subnet([ip_network("172.16.0.0/12")], "")


@given(st.lists(st.booleans(), max_size=60))
def test_addresses_in_use_are_distinct_and_in_the_pool(steps: list[bool]) -> None:
    """True takes an address, False frees the oldest one."""
    addresses = Addresses(Pool("10.1.2.0/28", "10.1.2.1", auxiliary={"printer": "10.1.2.5"}))
    held: list[str] = []
    for take in steps:
        if take and len(held) == 12:
            with pytest.raises(ForbiddenError, match="no available addresses"):
                addresses.take()
        elif take:
            held.append(addresses.take())
        elif held:
            addresses.free(held.pop(0))
        assert len(set(held)) == len(held)
        assert not {"10.1.2.0", "10.1.2.1", "10.1.2.5", "10.1.2.15"} & set(held)
        assert all(ip_address(it) in ip_network("10.1.2.0/28") for it in held)


def test_a_freed_address_rests() -> None:
    addresses = Addresses(Pool("10.1.2.0/24", "10.1.2.1"))
    first = addresses.take()
    addresses.free(first)
    assert addresses.take() == "10.1.2.3"


def test_a_range_within_the_subnet_is_kept_to() -> None:
    addresses = Addresses(Pool("10.1.0.0/16", "10.1.0.1", ip_range="10.1.9.0/30"))
    assert sorted(addresses.take() for _ in range(4)) == [f"10.1.9.{n}" for n in range(4)]
    assert addresses.take("10.1.200.7") == "10.1.200.7"
    with pytest.raises(ForbiddenError, match="Address already in use"):
        addresses.take("10.1.200.7")


def test_ipv6_is_given_out_in_order() -> None:
    subnet = ipam.unique_local("ab")
    assert subnet.prefixlen == 64 and str(subnet).startswith("fd")
    addresses = Addresses(Pool(str(subnet), ipam.first_host(subnet)))
    assert addresses.take() == str(subnet[2])


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"Subnet": "10.1.2.3"}, "not a CIDR address"),
        ({"Subnet": "10.1.2.3/24"}, r"it should be 10\.1\.2\.0/24"),
        ({"Subnet": "10.1.2.0/31"}, "no room"),
        ({"Subnet": "10.1.2.0/24", "Gateway": "10.1.3.1"}, "gateway address 10.1.3.1: it is not"),
        ({"Subnet": "10.1.2.0/24", "IPRange": "10.1.3.0/25"}, "ip-range"),
        ({"Subnet": "10.1.2.0/24", "AuxiliaryAddresses": {"x": "nine"}}, "not an IP address"),
    ],
)
def test_bad_pools_are_refused(config: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidError, match=complaint):
        ipam.make_pool(config)


def test_the_mac_follows_the_address() -> None:
    assert ipam.mac_for("172.20.0.10") == "02:42:ac:14:00:0a"
