"""Address translation and isolation: one static nftables table, all state in its maps and sets.

Publishing a port is adding one element, 0.1 ms however many there are; nobody else's table is
touched. docs/networking.md explains each chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .nft import Nft, NftError
from .types import Bridge, Publication

# Names in braces-free form: %s is the table. `th` is the transport header of tcp, udp and sctp.
_SKELETON = """
table inet %s {
  map pub4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map pub4h { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  map pub6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
  map pub6h { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }
  set bridges { type ifname; }
  set same { type ifname . ifname; }
  set internal { type ifname; }
  set others { type ifname; }
  set nets4 { type ipv4_addr; flags interval; }
  set nets6 { type ipv6_addr; flags interval; }
  set hidden4 { type ipv4_addr; flags interval; }
  set hidden6 { type ipv6_addr; flags interval; }
  set masq4 { type ipv4_addr; flags interval; }
  set masq6 { type ipv6_addr; flags interval; }

  chain raw {
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip daddr 127.0.0.0/8 drop
    iifname @bridges accept
    iifname "lo" accept
    ip daddr @hidden4 drop
    ip6 daddr @hidden6 drop
  }
  chain published {
    dnat ip to ip daddr . meta l4proto . th dport map @pub4h
    dnat ip to meta l4proto . th dport map @pub4
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @pub6h
    dnat ip6 to meta l4proto . th dport map @pub6
  }
  chain pre {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local goto published
  }
  chain out {
    type nat hook output priority -100; policy accept;
    ip6 daddr ::1 return
    fib daddr type local goto published
  }
  chain post {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @masq4 oifname != @bridges masquerade
    ip6 saddr @masq6 oifname != @bridges masquerade
    ct status dnat oifname @bridges ip saddr 127.0.0.0/8 masquerade
    ct status dnat oifname @bridges ip saddr @nets4 masquerade
    ct status dnat oifname @bridges ip6 saddr @nets6 masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    iifname . oifname @same accept
    iifname @internal drop
    oifname @internal drop
    ct status dnat accept
    iifname @bridges oifname @bridges drop
    iifname @bridges oifname @others drop
    iifname @bridges accept
    oifname @bridges drop
  }
}
"""


@dataclass
class Contents:
    """All that the table is to hold."""

    bridges: list[Bridge] = field(default_factory=list)
    publications: list[Publication] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


class Firewall:
    """The table `inet <name>` of this network namespace."""

    def __init__(self, table: str) -> None:
        self.table = table
        self._nft = Nft()

    def load(self, contents: Contents) -> None:
        """Put table and contents in place at once, whatever was there before; O(contents)."""
        table = self.table
        commands = [f"table inet {table} {{}}", f"delete table inet {table}", _SKELETON % table]
        for bridge in contents.bridges:
            commands += self._elements("add", bridge)
        commands += self._map_elements("add", contents.publications)
        commands += self._others(contents.others)
        self._nft.run("\n".join(commands))

    def exists(self) -> bool:
        """Whether the table is there: `nft flush ruleset` takes everybody's."""
        return f"table inet {self.table}\n" in self._nft.run("list tables") + "\n"

    def beside_firewalld(self) -> bool:
        """Whether firewalld has its rules in this network namespace."""
        return "table inet firewalld\n" in self._nft.run("list tables") + "\n"

    def unload(self) -> None:
        """Delete the table, if it is there."""
        self._nft.run(f"table inet {self.table} {{}}\ndelete table inet {self.table}")

    def add_bridge(self, bridge: Bridge) -> None:
        """Let the containers on this bridge out, and keep the other bridges' away."""
        self._nft.run("\n".join(self._elements("add", bridge)))

    def remove_bridge(self, bridge: Bridge) -> None:
        """Forget a bridge; what is gone already is no error."""
        self._each(self._elements("delete", bridge))

    def keep_from(self, others: Iterable[str]) -> None:
        """Have containers reach these bridges of other engines by published ports only."""
        commands = self._others(others)
        if commands:
            self._nft.run("\n".join(commands))

    def publish(self, publications: Iterable[Publication]) -> None:
        """Lead these ports of the host to their containers, all or none of them."""
        commands = self._map_elements("add", publications)
        if commands:
            self._nft.run("\n".join(commands))

    def republish(self, old: Iterable[Publication], new: Iterable[Publication]) -> None:
        """Have the `new` instead of the `old`, at once: no connection falls between.

        What is gone of the old already is no error.
        """
        adding = self._map_elements("add", new)
        try:
            commands = self._map_elements("delete", old) + adding
            if commands:
                self._nft.run("\n".join(commands))
        except NftError as error:
            if not error.missing:
                raise
            self.unpublish(old)
            if adding:
                self._nft.run("\n".join(adding))

    def unpublish(self, publications: Iterable[Publication]) -> None:
        """Take published ports away; what is gone already is no error."""
        self._each(self._map_elements("delete", publications))

    def close(self) -> None:
        """Close the connection; table and contents stay."""
        self._nft.close()

    def _each(self, commands: list[str]) -> None:
        """Run deletions at once, or one by one when a part of them is gone already."""
        try:
            if commands:
                self._nft.run("\n".join(commands))
        except NftError as error:
            if not error.missing:
                raise
            for command in commands:
                try:
                    self._nft.run(command)
                except NftError as single:
                    if not single.missing:
                        raise

    def _others(self, names: Iterable[str]) -> list[str]:
        listed = ", ".join(f'"{name}"' for name in names)
        return [f"add element inet {self.table} others {{ {listed} }}"] if listed else []

    def _elements(self, verb: str, bridge: Bridge) -> list[str]:
        name = f'"{bridge.name}"'
        elements = [("bridges", name), ("same", f"{name} . {name}")]
        if not bridge.icc:
            del elements[1]
        if bridge.internal:
            elements.append(("internal", name))
        for address in bridge.addresses:
            elements.append((f"nets{address.version}", str(address.network)))
            if bridge.masquerade or bridge.internal:
                # Of others, answers come to the containers' own addresses.
                elements.append((f"hidden{address.version}", str(address.network)))
            if bridge.masquerade and not bridge.internal:
                elements.append((f"masq{address.version}", str(address.network)))
        return [f"{verb} element inet {self.table} {kind} {{ {it} }}" for kind, it in elements]

    def _map_elements(self, verb: str, publications: Iterable[Publication]) -> list[str]:
        """One command per map, whatever the number of ports: a range is one transaction."""
        maps: dict[str, list[str]] = {}
        for it in publications:
            version = it.target.version
            key = f"{it.protocol} . {it.host_port}"
            kind = f"pub{version}"
            if not it.host.is_unspecified:
                kind, key = f"pub{version}h", f"{it.host} . {key}"
            value = f" : {it.target} . {it.target_port}" if verb == "add" else ""
            maps.setdefault(kind, []).append(key + value)
        return [
            f"{verb} element inet {self.table} {kind} {{ {', '.join(elements)} }}"
            for kind, elements in maps.items()
        ]
