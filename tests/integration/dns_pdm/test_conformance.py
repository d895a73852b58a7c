"""The zones in memory that unit tests use behave as PowerDNS's do: the same calls leave the same."""

from bus import TryAgain
from catalyst.stack.powerdns import PowerDns as Server
from dns_pdm.keeping import Api, NotOurs, ZoneKeeper
from dns_pdm.powerdns import NewZone, PowerDns, ZoneExists
from dns_pdm.zones import MARK, Change, RecordSet
from tests.integration.dns_pdm.conftest import HOSTING, POOL, RULES, keeper_on
from tests.unit.dns_pdm.scene import MemoryDns

FQDN = "demo.omani.works"
OTHERS = RecordSet(f"{FQDN}.", "NS", 60, ("ns.elsewhere.example.",))


async def what_is_left(keeper: ZoneKeeper) -> list[object]:
    """Everything the keeper does, and what the calls answer on the way."""
    api = keeper.api
    seen: list[object] = [await api.zone(FQDN), await api.records_at("absent.example", "absent.example")]
    await keeper.ensure_pools()
    seen.append(await api.records_at(POOL, FQDN))
    await keeper.ensure(FQDN, 1)
    foreign = RecordSet(f"x.{FQDN}.", "TXT", 60, ('"x"',))
    await api.change(FQDN, [Change(foreign.name, "TXT", foreign)])
    published = await keeper.publish(FQDN, "192.0.2.1", "2001:db8::1", ttl_s=60)
    seen += [published.records, published.foreign]
    published = await keeper.publish(FQDN, "192.0.2.2", "", ttl_s=300)
    seen += [published.records, published.foreign, await held(api, FQDN), await keeper.neighbours(FQDN)]
    try:
        await api.create(NewZone(FQDN, "", (), signed=False, nsec3=""))
    except ZoneExists:
        seen.append("exists")
    await keeper.withdraw(FQDN, 1)
    seen += [await held(api, FQDN), sorted(item.type for item in await api.records_at(POOL, FQDN) or ())]
    await keeper.ensure(FQDN, 2)
    seen.append(await held(api, FQDN))
    await keeper.hand_on(FQDN, 2)
    seen.append(await held(api, FQDN))
    await keeper.release(FQDN, 3)
    seen += [await api.zone(FQDN), await api.records_at(POOL, FQDN), len(await api.signing_keys(FQDN))]
    for found, changes in (((), [Change(f"{FQDN}.", "NS", OTHERS)]), ((), [Change(f"{FQDN}.", "NS")]), ((OTHERS,), [])):
        try:
            await keeper.parents.delegate(POOL, FQDN, found, changes)
        except TryAgain:
            seen.append("overtaken")
    seen.append(await api.records_at(POOL, FQDN))
    theirs = RecordSet(f"www.{POOL}.", "A", 60, ("192.0.2.3",))
    await api.change(POOL, [Change(theirs.name, "A", theirs)])
    try:
        await keeper.ensure(f"www.{POOL}", 1)
    except NotOurs:
        seen.append("not ours")
    return seen


async def held(api: Api, fqdn: str) -> object:
    zone = await api.zone(fqdn)
    assert zone is not None
    # PowerDNS keeps no mark on the SOA and numbers serials by date.
    records = {(r.name, r.type, r.ttl_s, r.content, r.mark == MARK) for r in zone.records if r.type != "SOA"}
    return zone.account, zone.signed, zone.nsec3, records


async def test_memory_and_powerdns_agree(server: Server, api: PowerDns) -> None:
    memory = MemoryDns()
    assert await what_is_left(ZoneKeeper(memory, memory, HOSTING, RULES)) == await what_is_left(keeper_on(server, api))
