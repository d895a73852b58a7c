"""The starter and the adapter against the real server."""

import stat
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from bus import Refused
from catalyst.stack.powerdns import PowerDns as Server
from dns_pdm.keeping import NSEC3_NARROW
from dns_pdm.powerdns import NewZone, PowerDns, ServerDown, ZoneExists
from dns_pdm.zones import MARK, Change, RecordSet

ZONE = "demo.example"
SOA = RecordSet("demo.example.", "SOA", 60, ("ns1.example. hostmaster.example. 0 10800 3600 604800 60",))
NS = RecordSet("demo.example.", "NS", 300, ("ns1.example.", "ns2.example."))
NEW = NewZone(ZONE, "somebody", (SOA, NS), signed=True, nsec3=NSEC3_NARROW)


async def test_a_killed_server_comes_back_at_the_same_place_with_its_zones(server: Server, api: PowerDns) -> None:
    await api.create(NEW)
    before = server.api_url, server.dns_port
    await server.kill()
    with pytest.raises(ServerDown):
        await api.zone(ZONE)
    await server.start()
    assert (server.api_url, server.dns_port) == before
    zone = await api.zone(ZONE)
    assert zone is not None
    assert zone.signed


def test_the_api_key_is_readable_by_its_owner_only_and_in_no_argument(server: Server) -> None:
    assert stat.S_IMODE((server.folder / "pdns.conf").stat().st_mode) == 0o600
    assert server.api_key.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert server.api_key not in repr(server)


async def test_a_zone_is_made_signed_with_ecdsa_p256_and_one_sha256_ds(api: PowerDns) -> None:
    await api.create(NEW)
    zone = await api.zone(ZONE)
    assert zone is not None
    assert zone.signed
    assert zone.nsec3 == NSEC3_NARROW
    assert zone.account == "somebody"
    assert zone.nameservers == ("ns1.example.", "ns2.example.")
    keys = await api.signing_keys(ZONE)
    assert [key.dnskey.split()[2] for key in keys] == ["13"]
    assert [(ds.algorithm, ds.digest_type) for key in keys for ds in key.ds] == [(13, 2)]


async def test_making_a_zone_twice_says_that_it_exists(api: PowerDns) -> None:
    await api.create(NEW)
    with pytest.raises(ZoneExists):
        await api.create(NEW)


async def test_an_interrupted_creation_can_be_signed_afterwards(api: PowerDns) -> None:
    await api.create(NewZone(ZONE, "somebody", (SOA, NS), signed=False, nsec3=""))
    await api.secure(ZONE, NSEC3_NARROW)
    zone = await api.zone(ZONE)
    assert zone is not None
    assert (zone.signed, zone.nsec3) == (True, NSEC3_NARROW)
    keys = await api.signing_keys(ZONE)
    await api.secure(ZONE, NSEC3_NARROW)
    assert await api.signing_keys(ZONE) == keys


async def test_a_change_keeps_our_mark_and_is_all_or_nothing(api: PowerDns) -> None:
    await api.create(NEW)
    ours = RecordSet("www.demo.example.", "A", 60, ("192.0.2.1",), MARK)
    await api.change(ZONE, [Change(ours.name, "A", ours)])
    clash = RecordSet("www.demo.example.", "CNAME", 60, ("elsewhere.example.",))
    other = RecordSet("other.demo.example.", "A", 60, ("192.0.2.2",))
    with pytest.raises(Refused, match="CNAME"):
        await api.change(ZONE, [Change(other.name, "A", other), Change(clash.name, "CNAME", clash)])
    zone = await api.zone(ZONE)
    assert zone is not None
    assert ours in zone.records
    assert not [item for item in zone.records if item.name == other.name]
    assert await api.records_at(ZONE, "www.demo.example") == (ours,)
    assert await api.records_at(ZONE, "absent.demo.example") == ()
    assert await api.records_at("absent.example", "absent.example") is None


async def test_what_is_absent_is_absent_and_deleting_it_is_fine(api: PowerDns) -> None:
    assert await api.zone("absent.example") is None
    assert await api.signing_keys("absent.example") == ()
    await api.delete("absent.example")


async def test_a_wrong_key_is_the_operators_trouble_and_tried_again(server: Server) -> None:
    async with PowerDns.connect(server.api_url, SecretStr("wrong")) as client:
        with pytest.raises(ServerDown, match="DNS_PDM_POWERDNS_KEY"):
            await client.version()


async def test_nothing_leaves_the_adapter_as_a_vendor_error() -> None:
    async with PowerDns.connect("http://127.0.0.1:1", SecretStr("none")) as client:
        with pytest.raises(ServerDown) as told:
            await client.version()
    assert not isinstance(told.value, aiohttp.ClientError)
