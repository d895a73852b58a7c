"""Whether the world is sent to our servers: every server of the parent zone and every one of ours is asked itself.

Nothing here asks a caching resolver. A parent server agrees when its NS set for the zone is exactly ours and its DS,
where it has one, fits a key that the zone shows. One of ours agrees when it answers with authority, with that NS set,
with the serial of the others, and with signatures that hold. What each server said is kept, so that a person sees
which one still tells the old story, and for how long others may believe it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from contracts.dns import ServerSays
from dns_pdm import chain
from dns_pdm.asking import ASK_WITHIN_S, Asking, Server, record_set

Verdict = Literal["agrees", "differs", "lame", "silent"]
_ADDRESSES = frozenset({dns.rdatatype.A, dns.rdatatype.AAAA})
_ANSWERED = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})


class Topology(Protocol):
    """Who serves what: the public tree, or the one that settings describe."""

    async def parents(self, zone: str) -> tuple[Server, ...]:
        """The servers of the zone above this one."""
        ...

    async def hosts(self, nameservers: Iterable[str]) -> tuple[Server, ...]:
        """Where these name servers listen."""
        ...


@dataclass(frozen=True)
class Report:
    """What all of them said."""

    servers: tuple[ServerSays, ...]

    @property
    def holds(self) -> bool:
        """Whether everybody who was asked agrees."""
        return bool(self.servers) and all(said.verdict == "agrees" for said in self.servers)

    @property
    def cached_for_s(self) -> int:
        """How long resolvers may keep what the parent's servers that differ still say, in seconds."""
        old = (said.cached_for_s for said in self.servers if said.side == "parent" and said.verdict != "agrees")
        return max(old, default=0)


@dataclass(frozen=True)
class _Expected:
    """What a server should say of the zone. No name servers: it should not know the zone."""

    zone: str
    nameservers: tuple[str, ...]
    keys: dns.rrset.RRset | None = None
    ds_required: bool = False
    addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Where our name servers are by their own word, as far as they lie in zones of ours."""


@dataclass(frozen=True)
class _Child:
    says: ServerSays
    serial: int | None = None
    keys: dns.rrset.RRset | None = None


@dataclass(frozen=True)
class Delegations:
    """Asks parent and child servers about zones."""

    topology: Topology

    async def check(self, zone: str, nameservers: Sequence[str], *, ds_required: bool) -> Report:
        """Ask everybody once: holds when parent and child agree that these serve the zone."""
        asking = Asking()
        wanted = tuple(sorted(host.lower() for host in nameservers))
        children = await self._children(asking, _Expected(zone, wanted))
        keys = next((child.keys for child in children if child.keys), None)
        addresses = await self._own_addresses(asking, wanted)
        parents = await self._parents(asking, _Expected(zone, wanted, keys, ds_required, addresses))
        return Report((*parents, *_same_serial(children)))

    async def gone(self, zone: str) -> Report:
        """Ask every parent server: holds when none has an NS or a DS for the zone."""
        return Report(await self._parents(Asking(), _Expected(zone, ())))

    async def answering(self, nameservers: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
        """Which of these names have an address on any of our servers, or may have: one that is silent counts."""
        asking = Asking()
        servers = await self.topology.hosts(nameservers)
        questions = [(server, name, kind) for server in servers for name in names for kind in ("A", "AAAA")]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(asking.ask(server, name, kind)) for server, name, kind in questions]
        unknown = sorted(set(nameservers) - {server.name for server in servers})
        return tuple(f"{host}, whose address is not known" for host in unknown) + tuple(
            f"{name} {kind} at {server}"
            for (server, name, kind), task in zip(questions, asked, strict=True)
            if (answer := task.result()) is None or answer.answer
        )

    async def _own_addresses(self, asking: Asking, hosts: Sequence[str]) -> dict[str, frozenset[str]]:
        """What the first of our servers that answers says of our name servers' addresses."""
        for server in await self.topology.hosts(hosts):
            asked = [answer for host in hosts for answer in await asking.ask_all(server, host, ("A", "AAAA"))]
            if any(asked):
                known = zip([host for host in hosts for _kind in range(2)], asked, strict=True)
                return _by_host((host, answer) for host, answer in known if answer and answer.flags & dns.flags.AA)
        return {}

    async def _parents(self, asking: Asking, expected: _Expected) -> tuple[ServerSays, ...]:
        servers = await self.topology.parents(expected.zone)
        if not servers:
            said = "no server of the zone above is known"
            return (ServerSays(server=expected.zone, side="parent", verdict="silent", said=said),)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_ask_parent(asking, server, expected)) for server in servers]
        return tuple(task.result() for task in asked)

    async def _children(self, asking: Asking, expected: _Expected) -> list[_Child]:
        servers = await self.topology.hosts(expected.nameservers)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_ask_child(asking, server, expected)) for server in servers]
        unknown = sorted(set(expected.nameservers) - {server.name for server in servers})
        return [
            *(task.result() for task in asked),
            *(_Child(_child_says(host, "silent", "this name server has no address")) for host in unknown),
        ]


async def _ask_parent(asking: Asking, server: Server, expected: _Expected) -> ServerSays:
    ns, ds = await asking.ask_all(server, expected.zone, ("NS", "DS"))
    if ns is None or ds is None:
        return _parent_says(server, "silent", f"no answer within {ASK_WITHIN_S:g} s")
    if ns.rcode() not in _ANSWERED:
        return _parent_says(server, "lame", f"answers {dns.rcode.to_text(ns.rcode())}")
    ns_set = record_set(ns, expected.zone, dns.rdatatype.NS)
    ds_set = record_set(ds, expected.zone, dns.rdatatype.DS)
    found = chain.hosts(ns_set)
    said = (
        _ns_difference(found, expected.nameservers)
        or _glue_difference(ns, expected)
        or _ds_difference(ds_set, expected)
    )
    return ServerSays(
        server=str(server),
        side="parent",
        nameservers=found,
        ds_key_tags=tuple(sorted(one.key_tag for one in ds_set or ())),
        verdict="differs" if said else "agrees",
        cached_for_s=max((one.ttl for one in (ns_set, ds_set) if one), default=0),
        said=said,
    )


def _ds_difference(ds: dns.rrset.RRset | None, expected: _Expected) -> str:
    if ds is None:
        return "has no DS for the zone" if expected.ds_required else ""
    if not expected.nameservers:
        return "still has a DS for the zone"
    if expected.keys is None:
        return "has a DS, but none of our servers shows a key"
    if chain.fits(expected.zone, ds, expected.keys):
        return ""
    tags = ", ".join(str(one.key_tag) for one in ds)
    return f"its DS ({tags}) fits no key of the zone: resolvers that validate refuse every answer"


def _by_host(answers: Iterable[tuple[str, dns.message.Message]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for host, answer in answers:
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            here = answer.get_rrset(answer.answer, dns.name.from_text(host), dns.rdataclass.IN, kind)
            found[host] = found.get(host, frozenset()) | {str(one.address) for one in here or ()}
    return {host: addresses for host, addresses in found.items() if addresses}


def _glue_difference(referral: dns.message.Message, expected: _Expected) -> str:
    """What is wrong with the addresses that a parent hands out beside our names (glue); none is fine."""
    told = []
    for host, own in sorted(expected.addresses.items()):
        sets = [one for one in referral.additional if str(one.name).lower() == f"{host}." and one.rdtype in _ADDRESSES]
        glue = {str(one.address) for rrset in sets for one in rrset}
        if glue - own:
            told.append(
                f"its glue for {host} is {', '.join(sorted(glue))}, but the host is at {', '.join(sorted(own))}"
            )
    return "; ".join(told)


def _ns_difference(found: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    if found == wanted:
        return ""
    if not found:
        return "does not delegate the zone"
    missing, surplus = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    if surplus:
        parts.append(f"still names {', '.join(surplus)}")
    return "; ".join(parts)


async def _ask_child(asking: Asking, server: Server, expected: _Expected) -> _Child:
    soa, ns, dnskey = await asking.ask_all(server, expected.zone, ("SOA", "NS", "DNSKEY"))
    if soa is None or ns is None or dnskey is None:
        return _Child(_child_says(str(server), "silent", f"no answer within {ASK_WITHIN_S:g} s"))
    if soa.rcode() != dns.rcode.NOERROR:
        return _Child(_child_says(str(server), "lame", f"answers {dns.rcode.to_text(soa.rcode())}"))
    if not soa.flags & dns.flags.AA:
        return _Child(_child_says(str(server), "lame", "does not answer with authority for the zone"))
    soa_set = record_set(soa, expected.zone, dns.rdatatype.SOA)
    ns_set = record_set(ns, expected.zone, dns.rdatatype.NS)
    if soa_set is None:
        return _Child(_child_says(str(server), "lame", "has no SOA for the zone"))
    found = chain.hosts(ns_set)
    said = _ns_difference(found, expected.nameservers) or chain.signature_trouble(expected.zone, soa, dnskey)
    says = ServerSays(
        server=str(server),
        side="child",
        nameservers=found,
        verdict="differs" if said else "agrees",
        cached_for_s=ns_set.ttl if ns_set else 0,
        said=said,
    )
    return _Child(says, soa_set[0].serial, record_set(dnskey, expected.zone, dns.rdatatype.DNSKEY))


def _same_serial(children: Sequence[_Child]) -> tuple[ServerSays, ...]:
    newest = max((child.serial for child in children if child.serial is not None), default=None)
    return tuple(
        (child if child.serial in {None, newest} else _behind(child, newest)).says for child in children
    )  # fmt: skip


def _behind(child: _Child, newest: int | None) -> _Child:
    said = f"serial {child.serial}, another has {newest}"
    return replace(child, says=child.says.model_copy(update={"verdict": "differs", "said": said}))


def _parent_says(server: Server, verdict: Verdict, said: str) -> ServerSays:
    return ServerSays(server=str(server), side="parent", verdict=verdict, said=said)


def _child_says(server: str, verdict: Verdict, said: str) -> ServerSays:
    return ServerSays(server=server, side="child", verdict=verdict, said=said)
