"""Down a private tree from its root, with a resolver that validates: what we say of a chain is what it makes of it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from catalyst.stack.powerdns import PowerDnsProgram
from contracts.dns import DnsPropagated, Record
from dns_pdm.asking import Server
from dns_pdm.delegation import Report
from dns_pdm.propagation import Resolvers
from dns_pdm.zones import RecordSet
from tests.integration.dns_pdm.tree import FQDN, NS, OWN, POOL, Tree, may_listen, tree

IPV4, IPV6 = "192.0.2.10", "2001:db8::10"


@pytest.fixture
async def world(program: PowerDnsProgram, tmp_path: Path) -> AsyncIterator[Tree | None]:
    if not may_listen():
        yield None  # the test runs in a network of its own: see conftest
        return
    async with tree(program, os.environ["CATALYST_UNBOUND"], tmp_path) as built:
        yield built


def of_parents(report: Report) -> set[str]:
    return {said.said for said in report.servers if said.side == "parent"}


def pasted(kind: str, *content: str) -> RecordSet:
    return RecordSet(f"{OWN}.", kind, 60, content)


async def test_a_sovereigns_names_are_vouched_for_from_the_root_until_they_are_gone(world: Tree) -> None:
    before = {name: await held(world, name) for name in (POOL,)}
    assert await world.resolve(f"console.{FQDN}") == ("NXDOMAIN", True, ())
    reserved = await world.keeper.ensure(FQDN, 1)
    published = await world.keeper.publish(FQDN, IPV4, IPV6, ttl_s=60)
    propagated = await see(world, published.records)
    assert (propagated.seen_by, propagated.percent) == (0, 0)
    assert 0 < propagated.cached_for_s <= 60, "it still remembers that there was no such name"
    assert propagated.servers[0].said.startswith(f"knows no A of console.{FQDN} (NXDOMAIN)")
    await world.resolver.start()

    report = await world.check(FQDN)
    assert report.holds, report
    assert {said.ds_key_tags for said in report.servers if said.side == "parent"} == {(reserved.ds[0].key_tag,)}
    for name in (FQDN, f"console.{FQDN}", f"anything.else.{FQDN}"):
        assert await world.resolve(name) == ("NOERROR", True, (IPV4,)), name
        assert await world.resolve(name, "AAAA") == ("NOERROR", True, (IPV6,)), name
    assert await world.resolve(FQDN, "CAA") == ("NOERROR", True, ('0 issue "letsencrypt.org"',))
    assert await world.resolve(f"console.{FQDN}", "TXT") == ("NOERROR", True, ())
    assert await world.resolve(f"nobody.{POOL}") == ("NXDOMAIN", True, ())
    code, vouched, ds = await world.resolve(FQDN, "DS")
    assert (code, vouched, len(ds)) == ("NOERROR", True, 1)
    code, vouched, keys = await world.resolve(FQDN, "DNSKEY")
    assert (code, vouched, [key.split()[2] for key in keys]) == ("NOERROR", True, ["13"])
    propagated = await see(world, published.records)
    assert (propagated.seen_by, propagated.asked, propagated.percent) == (1, 1, 100)

    # The way back. The resolver still holds DS and NS: what it has not asked before is still vouched for, never bogus.
    await world.keeper.withdraw(FQDN, 1)
    assert await world.resolve(f"gitea.{FQDN}") == ("NXDOMAIN", True, ())
    await world.resolver.start()
    assert await world.resolve(f"gitea.{FQDN}") == ("NXDOMAIN", False, ())
    await world.keeper.release(FQDN, 1)
    await world.resolver.start()
    assert await world.resolve(f"console.{FQDN}") == ("NXDOMAIN", True, ())
    assert (await world.delegations.gone(FQDN)).holds
    assert {name: await held(world, name) for name in (POOL,)} == before


async def see(world: Tree, records: tuple[Record, ...], zone: str = FQDN) -> DnsPropagated:
    where = Server("resolver", world.resolver.address, world.resolver.port)
    return await Resolvers((where,)).see(records, zone)


async def held(world: Tree, name: str) -> set[RecordSet]:
    zone = await world.ours.zone(name)
    assert zone is not None
    return {record for record in zone.records if record.type != "SOA"}


async def test_each_broken_chain_is_named_as_the_resolver_suffers_it(world: Tree) -> None:
    reserved = await world.keeper.ensure(OWN, 1)
    published = await world.keeper.publish(OWN, IPV4, "", ttl_s=60)
    console, whole = f"console.{OWN}", ("NOERROR", True, (IPV4,))
    ns = pasted("NS", *(f"{host}." for host in NS))
    ds = pasted("DS", *(f"{one.key_tag} {one.algorithm} {one.digest_type} {one.digest}" for one in reserved.ds))

    async def breaks(*records: RecordSet) -> tuple[set[str], str, bool]:
        """What the parent's servers say by our check, and what the resolver makes of it."""
        await world.put(world.registry, "works", *records)
        await world.resolver.start()
        code, vouched, _addresses = await world.resolve(console)
        return of_parents(await world.check(OWN)), code, vouched

    assert await breaks() == ({"does not delegate the zone"}, "NXDOMAIN", True)
    assert await breaks(ns) == ({"has no DS for the zone"}, "NOERROR", False)
    assert (await world.check(OWN, ds_required=False)).holds
    assert await breaks(ds) == ({""}, "NOERROR", True)
    assert await world.resolve(console) == whole

    tag = reserved.ds[0].key_tag
    no_key = f"its DS ({tag}) fits no key of the zone: resolvers that validate refuse every answer"
    assert await breaks(pasted("DS", f"{tag} 13 2 {'ab' * 32}")) == ({no_key}, "SERVFAIL", False)
    [resolver] = (await see(world, published.records, OWN)).servers
    assert (resolver.verdict, resolver.said.split(":")[0]) == ("differs", "answers SERVFAIL")

    # A former host's server, which does not know the zone any more.
    stale = {f"lacks {', '.join(NS)}; still names ns.works"}
    assert await breaks(ds, pasted("NS", "ns.works.")) == (stale, "SERVFAIL", False)
    glue = RecordSet(f"{NS[1]}.", "A", 60, ("127.0.0.77",))
    [(_host, [address])] = [item for item in world.keeper.hosting.glue.items() if item[0] == NS[1]]
    wrong = {f"its glue for {NS[1]} is 127.0.0.77, but the host is at {address}"}
    assert (await breaks(ns, glue))[0] == wrong
    await world.put(world.registry, "works", RecordSet(glue.name, "A", 60, (address,)))
    half = {f"lacks {NS[1]}"}
    assert await breaks(pasted("NS", f"{NS[0]}.")) == (half, "NOERROR", True)
    assert await breaks(ns) == ({""}, "NOERROR", True)
