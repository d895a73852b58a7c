"""Where name servers listen, as settings describe it: a tree of our own, on any address and port."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dns_pdm.asking import Server


def server_at(name: str, where: str) -> Server:
    """A server from ``address`` or ``address:port`` (an IPv6 address with a port is in brackets)."""
    if where.startswith("["):
        address, _, port = where[1:].partition("]")
        return Server(name, address, int(port.removeprefix(":") or 53))
    if where.count(":") == 1:
        address, _, port = where.partition(":")
        return Server(name, address, int(port))
    return Server(name, where)


@dataclass(frozen=True)
class DescribedTopology:
    """Zones with the host names that serve them, and hosts with the places where they listen."""

    zones: Mapping[str, tuple[str, ...]]
    listening: Mapping[str, tuple[str, ...]]

    async def parents(self, zone: str) -> tuple[Server, ...]:
        """The servers of the nearest described zone above."""
        labels = zone.split(".")
        for start in range(1, len(labels) + 1):
            above = ".".join(labels[start:])
            if above in self.zones:
                return await self.hosts(self.zones[above])
        return ()

    async def hosts(self, nameservers: Iterable[str]) -> tuple[Server, ...]:
        """Where these listen; one that is not described is left out."""
        return tuple(server_at(name, where) for name in nameservers for where in self.listening.get(name, ()))
