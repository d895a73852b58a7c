"""The zone door on real PowerDNS: one key, one zone, ordinary records, nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from catalyst.stack.powerdns import PowerDns as Server
from dns_pdm import zone_door
from dns_pdm.keeping import ZoneKeeper
from dns_pdm.powerdns import PowerDns
from dns_pdm.zones import Change, RecordSet
from tests.integration.dns_pdm.conftest import POOL

FQDN = "demo.omani.works"
KEY = "the-key-of-demo"


@dataclass
class OneKey:
    """Demo's key, until it is revoked."""

    valid: bool = True

    async def admits(self, sovereign: str, key: str) -> bool:
        return self.valid and (sovereign, key) == ("demo_omani_works", KEY)


@dataclass
class Door:
    """A client with a key."""

    session: aiohttp.ClientSession
    root: str
    keys: OneKey

    async def ask(self, method: str, path: str, body: Any = None, key: str = KEY) -> tuple[int, Any]:
        async with self.session.request(method, f"{self.root}{path}", json=body, headers={"X-API-Key": key}) as answer:
            return answer.status, await (answer.json() if answer.content_type == "application/json" else answer.text())

    async def own(self, method: str, path: str = f"/zones/{FQDN}.", body: Any = None) -> tuple[int, Any]:
        return await self.ask(method, f"/demo_omani_works/api/v1/servers/localhost{path}", body)

    async def change(self, **row: Any) -> tuple[int, Any]:
        return await self.own("PATCH", body={"rrsets": [{**_TXT, **row}]})


_TXT = {
    "name": f"_acme-challenge.{FQDN}.",
    "type": "TXT",
    "ttl": 60,
    "changetype": "REPLACE",
    "records": [{"content": '"proof"', "disabled": False}],
}


@pytest.fixture
async def door(keeper: ZoneKeeper, api: PowerDns) -> AsyncIterator[Door]:
    await keeper.ensure(FQDN, 1)
    await keeper.ensure(f"other.{POOL}", 1)
    await keeper.publish(FQDN, "192.0.2.1", "", ttl_s=60)
    keys = OneKey()
    app = zone_door.ZoneDoor(keys, api).app()
    async with zone_door.listening(app, "127.0.0.1", 0, None) as port, aiohttp.ClientSession() as session:
        yield Door(session, f"http://127.0.0.1:{port}", keys)


async def test_a_challenge_is_written_read_and_removed_as_certificate_clients_do(door: Door, api: PowerDns) -> None:
    assert (await door.change())[0] == 204
    status, zone = await door.own("GET")
    assert status == 200
    assert [row["records"] for row in zone["rrsets"] if row["type"] == "TXT"] == [_TXT["records"]]
    assert (await door.change(changetype="DELETE", records=[]))[0] == 204
    assert await api.records_at(FQDN, f"_acme-challenge.{FQDN}") == ()


async def test_its_list_of_zones_holds_its_own_and_no_other(door: Door) -> None:
    status, zones = await door.own("GET", "/zones")
    assert status == 200
    assert [zone["name"] for zone in zones] == [f"{FQDN}."]
    assert await door.own("GET", f"/zones?zone=other.{POOL}.") == (200, [])


async def test_another_zone_and_the_parent_are_refused(door: Door, api: PowerDns) -> None:
    before = await api.zone(f"other.{POOL}"), await api.zone(POOL)
    for zone in (f"other.{POOL}.", f"{POOL}.", "works.", ".", f"x.{FQDN}."):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            body = {"rrsets": [{**_TXT, "name": f"x.{zone}"}]}
            status, _told = await door.own(method, f"/zones/{zone}", body)
            assert status in {403, 404, 405}, (method, zone)
    assert (await api.zone(f"other.{POOL}"), await api.zone(POOL)) == before


async def test_everything_beyond_is_refused(door: Door) -> None:
    for path in (
        "/api/v1/servers/localhost/zones",
        "/api/v1/servers",
        "/api/v1/servers/localhost/zones/omani.works.",
        "/demo_omani_works/api/v1/servers/localhost/search-data?q=*",
        "/demo_omani_works/api/v1/servers/localhost/config",
        f"/demo_omani_works/api/v1/servers/localhost/zones/{FQDN}./cryptokeys",
        f"/demo_omani_works/api/v1/servers/localhost/zones/{FQDN}./export",
        "/*/api/v1/servers/localhost/zones",
        "/>/api/v1/servers/localhost/zones",
        "/demo_omani_works/../other_omani_works/api/v1/servers/localhost/zones",
        "/",
    ):
        status, told = await door.ask("GET", path)
        assert status in {401, 403, 404}, path
        assert f"other.{POOL}" not in str(told), path


async def test_a_key_opens_no_other_sovereigns_root(door: Door) -> None:
    for sovereign in ("other_omani_works", "omani_works", "demo_omani_work"):
        assert (await door.ask("GET", f"/{sovereign}/api/v1/servers/localhost/zones"))[0] == 401, sovereign


async def test_a_wrong_missing_or_revoked_key_opens_nothing(door: Door) -> None:
    path = f"/demo_omani_works/api/v1/servers/localhost/zones/{FQDN}."
    assert (await door.ask("GET", path, key="wrong"))[0] == 401
    assert (await door.ask("GET", path, key=""))[0] == 401
    door.keys.valid = False
    assert (await door.change())[0] == 401


_NO_BUSINESS: list[dict[str, Any]] = [
    {"name": f"x.other.{POOL}."},
    {"name": f"{POOL}."},
    {"name": f"evil{FQDN}."},
    {"name": f"a b.{FQDN}."},
    {"name": ""},
    {"type": "NS", "records": [{"content": "ns.evil.test."}]},
    {"type": "NS", "name": f"sub.{FQDN}.", "records": [{"content": "ns.evil.test."}]},
    {"type": "SOA"},
    {"type": "DNSKEY"},
    {"type": "DS"},
    {"type": "LUA", "records": [{"content": "A \"os.execute('id')\""}]},
    {"type": "ALIAS"},
    {"ttl": 0},
    {"ttl": 10**9},
    {"records": []},
    {"records": [{"content": '"a"\n"b"'}]},
    {"records": [{"content": "x" * 5000}]},
    {"changetype": "EXTEND"},
    {"type": "A", "name": f"x.{FQDN}.", "records": [{"content": "no address"}]},
]


async def test_what_a_sovereign_has_no_business_with_is_refused_whole(door: Door, api: PowerDns) -> None:
    before = await api.zone(FQDN)
    for row in _NO_BUSINESS:
        status, told = await door.own("PATCH", body={"rrsets": [{**_TXT, "name": f"y.{FQDN}."}, {**_TXT, **row}]})
        assert status == 422, row
        assert told["error"], row
    assert await api.zone(FQDN) == before


async def test_a_huge_or_broken_body_is_refused(door: Door) -> None:
    assert (await door.own("PATCH", body={"rrsets": [{**_TXT, "comments": "x" * 70_000}]}))[0] == 413
    assert (await door.own("PATCH", body=["no object"]))[0] == 422
    assert (await door.own("PATCH", body={"rrsets": []}))[0] == 422


async def test_our_mark_cannot_be_forged(door: Door, api: PowerDns) -> None:
    mark = [{"account": "catalyst-zero", "content": "mine"}]
    assert (await door.change(comments=mark))[0] == 204
    [found] = await api.records_at(FQDN, f"_acme-challenge.{FQDN}") or ()
    assert found.mark == ""


async def test_a_zone_that_is_gone_and_a_server_that_is_down_are_told_apart(
    door: Door, api: PowerDns, server: Server
) -> None:
    await api.delete(FQDN)
    assert (await door.own("GET"))[0] == 404
    await server.kill()
    assert (await door.own("GET"))[0] == 503


async def test_what_the_sovereign_wrote_is_foreign_to_us_and_stays(
    door: Door, keeper: ZoneKeeper, api: PowerDns
) -> None:
    await door.change()
    published = await keeper.publish(FQDN, "192.0.2.2", "", ttl_s=300)
    assert published.foreign == (f"_acme-challenge.{FQDN} TXT",)
    ours = RecordSet(f"{FQDN}.", "A", 60, ("192.0.2.9",))
    await api.change(FQDN, [Change(ours.name, "A", ours)])
    again = await keeper.publish(FQDN, "192.0.2.2", "", ttl_s=300)
    assert ("192.0.2.2",) in {record.content for record in again.records if record.name == FQDN}
