"""Where name servers listen: as settings describe it, and else by walking down from the root as resolvers do.

The described part is for private trees and for servers that the public tree does not (yet) know. The walk asks for the
NS set of each name on the way, takes addresses from glue or walks for them, and remembers what it learned for as long
as the records say, so that many waiting domains below one parent cost that parent's servers little.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype

from dns_pdm import chain
from dns_pdm.asking import DNS_PORT, Asking, Server, record_set

IANA_ROOT: Final = {
    "a.root-servers.net": ("198.41.0.4",),
    "d.root-servers.net": ("199.7.91.13",),
    "f.root-servers.net": ("192.5.5.241",),
    "j.root-servers.net": ("192.58.128.30",),
    "k.root-servers.net": ("193.0.14.129",),
    "l.root-servers.net": ("199.7.83.42",),
    "m.root-servers.net": ("202.12.27.33",),
}
"""Some of the root's servers (IANA root hints). One that answers is enough."""
_DEPTH: Final = 6
"""A host name whose server's name needs a host name … ends somewhere."""
_TRIED_SERVERS: Final = 4
_REMEMBERED: Final = 5000
_LONGEST_S: Final = 3600


def server_at(name: str, where: str, port: int = DNS_PORT) -> Server:
    """A server from ``address`` or ``address:port`` (an IPv6 address with a port is in brackets)."""
    if where.startswith("["):
        address, _, told = where[1:].partition("]")
        return Server(name, address, int(told.removeprefix(":") or port))
    if where.count(":") == 1:
        address, _, told = where.partition(":")
        return Server(name, address, int(told))
    return Server(name, where, port)


@dataclass(frozen=True)
class PublicTree:
    """The tree below these root servers."""

    roots: Mapping[str, tuple[str, ...]]
    port: int = DNS_PORT
    """A private tree on loopback may use another one, the same everywhere."""
    clock: Callable[[], float] = time.monotonic
    _known: OrderedDict[str, tuple[float, tuple[Server, ...]]] = field(default_factory=OrderedDict)

    async def parents(self, zone: str) -> tuple[Server, ...]:
        """The servers of the zone above this one; none when the way there is broken."""
        return await self._serving(zone.partition(".")[2], Asking(), 0)

    async def hosts(self, nameservers: Iterable[str]) -> tuple[Server, ...]:
        """Where these listen; one without address is left out."""
        asking = Asking()
        return tuple([server for host in nameservers for server in await self._addresses(host, asking, 0)])

    async def _serving(self, name: str, asking: Asking, depth: int) -> tuple[Server, ...]:
        """The servers of the zone that the name is in."""
        servers = tuple(server_at(host, where, self.port) for host, all_of in self.roots.items() for where in all_of)
        labels = [label for label in name.split(".") if label]
        for start in reversed(range(len(labels))):
            cut = ".".join(labels[start:])
            below = self._remembered(f"NS {cut}")
            if below is None:
                below = await self._refer(cut, servers, asking, depth)
            servers = below or servers
        return servers

    async def _refer(self, cut: str, servers: tuple[Server, ...], asking: Asking, depth: int) -> tuple[Server, ...]:
        answer = await self._first_answer(cut, "NS", servers, asking)
        found = record_set(answer, cut, dns.rdatatype.NS) if answer else None
        if answer is None or found is None:
            return ()
        below: list[Server] = []
        for host in chain.hosts(found):
            glue = [Server(host, address, self.port) for address in _addresses_in(answer, host)]
            below += glue or await self._addresses(host, asking, depth + 1)
        return self._remember(f"NS {cut}", tuple(below), found.ttl)

    async def _addresses(self, host: str, asking: Asking, depth: int) -> tuple[Server, ...]:
        known = self._remembered(f"A {host}")
        if known is not None or depth >= _DEPTH:
            return known or ()
        servers = await self._serving(host, asking, depth + 1)
        for kind in ("A", "AAAA"):  # the second only where there is none of the first: not everybody has IPv6
            answer = await self._first_answer(host, kind, servers, asking)
            if answer and (addresses := _addresses_in(answer, host)):
                found = tuple(Server(host, address, self.port) for address in addresses)
                ttl = min(one.ttl for one in answer.answer) if answer.answer else 0
                return self._remember(f"A {host}", found, ttl)
        return ()

    async def _first_answer(
        self, name: str, kind: str, servers: tuple[Server, ...], asking: Asking
    ) -> dns.message.Message | None:
        for server in servers[:_TRIED_SERVERS]:
            if (answer := await asking.ask(server, name, kind)) is not None:
                return answer
        return None

    def _remembered(self, key: str) -> tuple[Server, ...] | None:
        until, found = self._known.get(key, (0.0, ()))
        return found if until > self.clock() else None

    def _remember(self, key: str, found: tuple[Server, ...], ttl_s: int) -> tuple[Server, ...]:
        self._known[key] = (self.clock() + min(ttl_s, _LONGEST_S), found)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found


@dataclass(frozen=True)
class DescribedTopology:
    """Zones with the host names that serve them, and hosts with the places where they listen; the tree for the rest."""

    zones: Mapping[str, tuple[str, ...]]
    listening: Mapping[str, tuple[str, ...]]
    tree: PublicTree | None = None

    async def parents(self, zone: str) -> tuple[Server, ...]:
        """The servers of the nearest described zone above, or what the tree says."""
        labels = zone.split(".")
        for start in range(1, len(labels) + 1):
            above = ".".join(labels[start:])
            if above in self.zones:
                return await self.hosts(self.zones[above])
        return await self.tree.parents(zone) if self.tree else ()

    async def hosts(self, nameservers: Iterable[str]) -> tuple[Server, ...]:
        """Where these listen; one that nobody knows is left out."""
        found: list[Server] = []
        for name in nameservers:
            found += [server_at(name, where) for where in self.listening.get(name, ())]
            if name not in self.listening and self.tree:
                found += await self.tree.hosts([name])
        return tuple(found)


def _addresses_in(message: dns.message.Message, host: str) -> tuple[str, ...]:
    owner = dns.name.from_text(host)
    for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
        for section in (message.answer, message.additional):
            if found := message.get_rrset(section, owner, dns.rdataclass.IN, kind):
                return tuple(str(one.address) for one in found)
    return ()
