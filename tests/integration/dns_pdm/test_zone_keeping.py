"""Zones in real PowerDNS: made, delegated, published, taken away; each verb twice."""

from dataclasses import replace

import aiohttp
import pytest
from pydantic import SecretStr

from bus import Refused, TryAgain
from catalyst.stack.powerdns import PowerDns as Server
from dns_pdm.asking import Asking
from dns_pdm.delegation import Delegations
from dns_pdm.keeping import NotOurs, ZoneKeeper
from dns_pdm.powerdns import NewZone, PowerDns, ServerDown
from dns_pdm.topology import server_at
from dns_pdm.updates import PoolUpdates
from dns_pdm.zones import MARK, Change, RecordSet
from tests.integration.dns_pdm.conftest import HOSTING, NS, POOL, RULES, keeper_on, where

FQDN = "demo.omani.works"


async def serial_of(api: PowerDns, fqdn: str) -> int:
    zone = await api.zone(fqdn)
    assert zone is not None
    return zone.serial


async def test_reserving_makes_a_signed_zone_that_the_pool_delegates(
    keeper: ZoneKeeper, api: PowerDns, world: Delegations
) -> None:
    reserved = await keeper.ensure(FQDN, 1)
    assert reserved.nameservers == NS
    assert [ds.algorithm for ds in reserved.ds] == [13]
    parent = {item.type: item for item in await api.records_at(POOL, FQDN) or ()}
    assert parent["NS"].content == tuple(f"{host}." for host in NS)
    assert parent["DS"].content[0].split()[0] == str(reserved.ds[0].key_tag)
    report = await world.check(FQDN, NS, ds_required=True)
    assert report.holds, report


async def test_reserving_again_changes_nothing(keeper: ZoneKeeper, api: PowerDns) -> None:
    first = await keeper.ensure(FQDN, 1)
    before = await api.zone(FQDN), await api.zone(POOL)
    assert await keeper.ensure(FQDN, 1) == first
    assert (await api.zone(FQDN), await api.zone(POOL)) == before


async def test_publishing_writes_every_name_once_and_again_nothing(keeper: ZoneKeeper, api: PowerDns) -> None:
    await keeper.ensure(FQDN, 1)
    done = await keeper.publish(FQDN, "192.0.2.10", "2001:db8::10", ttl_s=60)
    told = {(record.name.removesuffix(FQDN), record.type): record.content for record in done.records}
    for label in ("", "*.", "console.", "gitea.", "admin.", "api.", "harbor."):
        assert told[(label, "A")] == ("192.0.2.10",)
        assert told[(label, "AAAA")] == ("2001:db8::10",)
    assert told[("", "CAA")] == ('0 issue "letsencrypt.org"',)
    assert {record.ttl_s for record in done.records} == {60}
    assert await keeper.publish(FQDN, "192.0.2.10", "2001:DB8::10", ttl_s=60) == done
    assert await serial_of(api, FQDN) == done.serial


async def test_a_lost_ipv6_takes_its_records_along_and_leaves_foreign_ones(keeper: ZoneKeeper, api: PowerDns) -> None:
    await keeper.ensure(FQDN, 1)
    await keeper.publish(FQDN, "192.0.2.10", "2001:db8::10", ttl_s=60)
    foreign = RecordSet(f"_acme-challenge.{FQDN}.", "TXT", 60, ('"token"',))
    await api.change(FQDN, [Change(foreign.name, "TXT", foreign)])
    done = await keeper.publish(FQDN, "192.0.2.11", "", ttl_s=300)
    assert done.foreign == (f"_acme-challenge.{FQDN} TXT",)
    assert {record.type for record in done.records} == {"A", "CAA"}
    zone = await api.zone(FQDN)
    assert zone is not None
    assert foreign in zone.records
    assert not [item for item in zone.records if item.type == "AAAA"]


async def test_a_name_that_the_sovereign_made_an_alias_is_left_to_it(keeper: ZoneKeeper, api: PowerDns) -> None:
    await keeper.ensure(FQDN, 1)
    alias = RecordSet(f"gitea.{FQDN}.", "CNAME", 60, ("git.example.",))
    await api.change(FQDN, [Change(alias.name, "CNAME", alias)])
    done = await keeper.publish(FQDN, "192.0.2.10", "", ttl_s=60)
    assert done.foreign == (f"gitea.{FQDN} CNAME",)
    assert f"gitea.{FQDN}" not in {record.name for record in done.records}


async def test_withdrawing_leaves_a_signed_empty_zone_and_no_ds(
    keeper: ZoneKeeper, api: PowerDns, world: Delegations
) -> None:
    await keeper.ensure(FQDN, 1)
    await keeper.publish(FQDN, "192.0.2.10", "", ttl_s=60)
    assert await world.answering(NS, (FQDN, f"console.{FQDN}"))
    await keeper.withdraw(FQDN, 1)
    await keeper.withdraw(FQDN, 1)
    assert await world.answering(NS, (FQDN, f"console.{FQDN}", f"whatever.{FQDN}")) == ()
    zone = await api.zone(FQDN)
    assert zone is not None
    assert zone.signed
    assert {item.type for item in zone.records} == {"SOA", "NS"}
    assert {item.type for item in await api.records_at(POOL, FQDN) or ()} == {"NS"}


async def test_releasing_leaves_the_pool_as_it_was(keeper: ZoneKeeper, api: PowerDns, world: Delegations) -> None:
    before = await api.zone(POOL)
    assert before is not None
    await keeper.ensure(FQDN, 1)
    await keeper.publish(FQDN, "192.0.2.10", "", ttl_s=60)
    await keeper.release(FQDN, 1)
    await keeper.release(FQDN, 1)
    assert await api.zone(FQDN) is None
    after = await api.zone(POOL)
    assert after is not None
    assert [item for item in after.records if item.type != "SOA"] == [
        item for item in before.records if item.type != "SOA"
    ]
    assert (await world.gone(FQDN)).holds


async def test_a_zone_that_is_handed_on_keeps_its_keys_and_delegation_but_no_address(
    keeper: ZoneKeeper, api: PowerDns, world: Delegations
) -> None:
    made = await keeper.ensure(FQDN, 1)
    await keeper.publish(FQDN, "192.0.2.10", "", ttl_s=60)
    await keeper.hand_on(FQDN, 1)
    await keeper.hand_on(FQDN, 1)
    assert await world.answering(NS, (FQDN, f"console.{FQDN}")) == ()
    assert await keeper.ensure(FQDN, 2) == made, "the DS that others hold stays true"
    assert (await world.check(FQDN, NS, ds_required=True)).holds
    with pytest.raises(Refused, match="life 1 is over"):
        await keeper.ensure(FQDN, 1)
    for _ in range(2):
        await keeper.take_back(FQDN, 1)
        assert await keeper.ensure(FQDN, 1) == made
    await keeper.release(FQDN, 1)
    assert (await world.gone(FQDN)).holds


async def test_nothing_of_an_earlier_life_is_kept(keeper: ZoneKeeper, api: PowerDns) -> None:
    await keeper.ensure(FQDN, 1)
    await keeper.publish(FQDN, "192.0.2.10", "", ttl_s=60)
    await keeper.ensure(FQDN, 2)
    zone = await api.zone(FQDN)
    assert zone is not None
    assert zone.account == f"{MARK}/2"
    assert {item.type for item in zone.records} == {"SOA", "NS"}
    with pytest.raises(Refused, match="life 1 is over"):
        await keeper.ensure(FQDN, 1)
    delegated = await api.records_at(POOL, FQDN)
    await keeper.withdraw(FQDN, 1)
    await keeper.release(FQDN, 1)
    assert await api.zone(FQDN) is not None
    assert await api.records_at(POOL, FQDN) == delegated


async def test_a_zone_that_somebody_else_made_is_never_touched(keeper: ZoneKeeper, api: PowerDns) -> None:
    soa = RecordSet("other.example.", "SOA", 60, ("ns1.example. hostmaster.example. 0 10800 3600 604800 60",))
    await api.create(NewZone("other.example", "", (soa,), signed=False, nsec3=""))
    before = await api.zone("other.example")
    with pytest.raises(NotOurs):
        await keeper.ensure("other.example", 1)
    await keeper.withdraw("other.example", 1)
    await keeper.release("other.example", 1)
    assert await api.zone("other.example") == before


async def test_a_label_that_the_pool_uses_itself_is_never_touched(keeper: ZoneKeeper, api: PowerDns) -> None:
    theirs = RecordSet(f"legacy.{POOL}.", "NS", 300, ("ns.legacy.example.",))
    await api.change(POOL, [Change(theirs.name, "NS", theirs)])
    with pytest.raises(NotOurs):
        await keeper.ensure(f"legacy.{POOL}", 1)
    await keeper.release(f"legacy.{POOL}", 1)
    assert await api.records_at(POOL, f"legacy.{POOL}") == (theirs,)
    assert await api.zone(f"legacy.{POOL}") is None


async def test_releasing_the_pool_itself_does_nothing(keeper: ZoneKeeper, api: PowerDns) -> None:
    before = await api.zone(POOL)
    await keeper.withdraw(POOL, 1)
    await keeper.release(POOL, 1)
    assert await api.zone(POOL) == before


async def test_pool_zones_are_made_once_with_the_addresses_of_their_servers(keeper: ZoneKeeper, api: PowerDns) -> None:
    before = await api.zone(POOL)
    assert before is not None
    assert {item.name for item in before.records if item.type == "A"} == {f"{host}." for host in NS}
    await keeper.ensure_pools()
    assert await api.zone(POOL) == before
    assert RULES.pools == (POOL,)


async def test_a_delegation_to_us_without_a_zone_is_ours_to_take(keeper: ZoneKeeper, api: PowerDns) -> None:
    await keeper.ensure(FQDN, 1)
    await api.delete(FQDN)
    await keeper.release(FQDN, 1)
    assert await api.records_at(POOL, FQDN) == ()


async def test_a_delegation_is_changed_only_while_it_is_what_was_found(keeper: ZoneKeeper, api: PowerDns) -> None:
    await keeper.ensure(FQDN, 1)
    found = await api.records_at(POOL, FQDN) or ()
    [ns] = [item for item in found if item.type == "NS"]
    others = RecordSet(ns.name, "NS", 60, ("ns.elsewhere.example.", ns.content[0]))
    await api.change(POOL, [Change(others.name, "NS", others)])
    with pytest.raises(TryAgain, match="by somebody else"):
        await keeper.parents.delegate(POOL, FQDN, found, [Change(ns.name, "NS")])
    with pytest.raises(TryAgain, match="by somebody else"):
        await keeper.parents.delegate(POOL, FQDN, (), [Change(ns.name, "NS", ns)])
    assert {item.type: item.content for item in await api.records_at(POOL, FQDN) or ()}["NS"] == others.content


async def test_a_pool_that_admits_another_key_is_told_ours(keeper: ZoneKeeper, server: Server, api: PowerDns) -> None:
    await keeper.ensure(FQDN, 1)
    later = PoolUpdates(api, where(server)[0], SecretStr("n" * 43), api.turns)
    await replace(keeper, parents=later).ensure(f"later.{POOL}", 1)
    await keeper.release(f"later.{POOL}", 1)
    await api.refuse_updates(POOL, ())
    await keeper.release(FQDN, 1)
    before = await api.zone(POOL)
    assert before is not None
    assert not [item for item in before.records if item.type == "DS"]
    absent = PoolUpdates(api, "127.0.0.1:1", SecretStr("m" * 43), api.turns)
    with pytest.raises(ServerDown):
        await replace(keeper, parents=absent).ensure(FQDN, 1)


@pytest.mark.parametrize("nsec3", [True, False], ids=["nsec3", "nsec"])
async def test_delegating_leaves_a_signed_pool_as_rectifying_all_of_it_would(
    server: Server, api: PowerDns, *, nsec3: bool
) -> None:
    keeper = keeper_on(server, api, replace(HOSTING, nsec3=nsec3))
    await keeper.ensure_pools()
    for label in ("m", "b", "x", "gone"):
        await keeper.ensure(f"{label}.{POOL}", 1)
    await keeper.release(f"gone.{POOL}", 1)

    async def answers() -> list[str]:
        """Referrals, DS, denials; signatures aside, which are made anew each time."""
        found = []
        for name, kind in ((f"a.b.{POOL}", "A"), (f"b.{POOL}", "DS"), (f"gone.{POOL}", "A"), (f"c.{POOL}", "A")):
            said = await Asking().ask(server_at(NS[0], where(server)[0]), name, kind)
            assert said is not None
            found += [
                line for line in [*map(str, said.answer), *map(str, said.authority)] if "SOA" not in line
            ]  # fmt: skip
        assert any(" NSEC" in line for line in found)
        return [line for line in found if " RRSIG " not in line]

    before = await answers()
    async with (
        aiohttp.ClientSession(server.api_url, headers={"X-API-Key": server.api_key}) as session,
        session.put(f"/api/v1/servers/localhost/zones/{POOL}./rectify") as answer,
    ):
        assert answer.status == 200
    assert await answers() == before
