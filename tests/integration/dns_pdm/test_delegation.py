"""What is wrong with a delegation is named exactly, server by server, by asking real ones."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import dns.dnssec
import dns.dnssectypes
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from catalyst.stack.powerdns import PowerDns as Server
from contracts.dns import DsRecord
from dns_pdm.delegation import Delegations, Report
from dns_pdm.keeping import ZoneKeeper
from dns_pdm.powerdns import PowerDns
from dns_pdm.topology import DescribedTopology, server_at
from dns_pdm.zones import Change, RecordSet
from tests.integration.dns_pdm.conftest import NS, ServerIn, keeper_on, pasted, registry_zone, where

FQDN = "shop.example.test"
NOBODY = ("127.0.0.1:1",)


@dataclass
class Tree:
    """A registry and our servers, which may be told to be elsewhere."""

    registry: Server
    parent: PowerDns
    ours: Server
    keeper: ZoneKeeper
    ds: tuple[DsRecord, ...]
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    more_parents: tuple[str, ...] = ()
    """Names of further servers of the zone above."""

    async def check(self, *, ds_required: bool = False) -> Report:
        hosts = {**dict.fromkeys(NS, where(self.ours)), "ns.registry.test": where(self.registry), **self.hosts}
        topology = DescribedTopology({"example.test": ("ns.registry.test", *self.more_parents)}, hosts)
        return await Delegations(topology).check(FQDN, NS, ds_required=ds_required)


@pytest.fixture
async def tree(server_in: ServerIn, server: Server, api: PowerDns) -> AsyncIterator[Tree]:
    registry = await server_in("registry")
    async with PowerDns.connect(registry.api_url, SecretStr(registry.api_key)) as parent:
        await parent.create(registry_zone("example.test"))
        keeper = keeper_on(server, api)
        reserved = await keeper.ensure(FQDN, 1)
        yield Tree(registry, parent, server, keeper, reserved.ds)


def told(report: Report, side: str) -> list[tuple[str, str]]:
    return [(said.verdict, said.said) for said in report.servers if said.side == side]


async def test_a_delegation_with_ds_holds_and_says_how_long_it_is_cached(tree: Tree) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS, tree.ds))
    report = await tree.check(ds_required=True)
    assert report.holds
    [parent] = [said for said in report.servers if said.side == "parent"]
    assert (parent.nameservers, parent.ds_key_tags, parent.cached_for_s) == (NS, (tree.ds[0].key_tag,), 60)


async def test_a_delegation_without_ds_holds_where_a_registrar_knows_no_ds(tree: Tree) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS))
    assert (await tree.check()).holds
    report = await tree.check(ds_required=True)
    assert told(report, "parent") == [("differs", "has no DS for the zone")]


async def test_nothing_pasted(tree: Tree) -> None:
    report = await tree.check()
    assert told(report, "parent") == [("differs", "does not delegate the zone")]
    assert {verdict for verdict, _said in told(report, "child")} == {"agrees"}


async def test_half_pasted_and_stale_names_are_told(tree: Tree) -> None:
    await tree.parent.change("example.test", pasted(FQDN, (NS[0], "ns.old.test")))
    report = await tree.check()
    assert told(report, "parent") == [("differs", "lacks ns2.omani.works; still names ns.old.test")]


async def test_a_wrong_ds_is_told_with_what_it_breaks(tree: Tree) -> None:
    wrong = tree.ds[0].model_copy(update={"digest": "ab" * 32})
    await tree.parent.change("example.test", pasted(FQDN, NS, [wrong]))
    [(verdict, said)] = told(await tree.check(), "parent")
    assert verdict == "differs"
    assert said.startswith(f"its DS ({wrong.key_tag}) fits no key of the zone")


async def test_a_lame_server_and_a_silent_one_are_told_apart(tree: Tree) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS, tree.ds))
    tree.hosts = {NS[0]: where(tree.registry), NS[1]: NOBODY}
    report = await tree.check()
    verdicts = {said.server.split()[0]: (said.verdict, said.said) for said in report.servers if said.side == "child"}
    assert verdicts[NS[0]] == ("lame", "does not answer with authority for the zone")
    assert verdicts[NS[1]][0] == "silent"


async def test_a_server_that_knows_nothing_of_the_zone_is_told(tree: Tree, server_in: ServerIn) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS))
    tree.hosts = {NS[1]: where(await server_in("empty"))}
    assert ("lame", "answers REFUSED") in told(await tree.check(), "child")


async def test_a_name_server_without_address_is_told(tree: Tree) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS))
    tree.hosts = {NS[1]: ()}
    report = await tree.check()
    assert ("silent", "this name server has no address") in told(report, "child")


async def test_a_server_that_is_behind_is_told(tree: Tree, server_in: ServerIn) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS))
    second = await server_in("second")
    async with PowerDns.connect(second.api_url, SecretStr(second.api_key)) as api:
        await keeper_on(second, api).ensure(FQDN, 1)
    await tree.keeper.publish(FQDN, "192.0.2.1", "", ttl_s=60)
    tree.hosts = {NS[1]: where(second)}
    verdicts = told(await tree.check(), "child")
    assert [verdict for verdict, _said in verdicts] == ["agrees", "differs"]
    assert "another has" in verdicts[1][1]


async def test_servers_of_the_parent_that_disagree_are_told_apart(tree: Tree, server_in: ServerIn) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS, tree.ds))
    late = await server_in("late")
    async with PowerDns.connect(late.api_url, SecretStr(late.api_key)) as api:
        await api.create(registry_zone("example.test"))
        await api.change("example.test", pasted(FQDN, ("ns1.old.test", "ns2.old.test")))
    tree.hosts, tree.more_parents = {"ns.late.test": where(late)}, ("ns.late.test",)
    report = await tree.check()
    assert not report.holds
    assert told(report, "parent") == [
        ("agrees", ""),
        ("differs", "lacks ns1.omani.works, ns2.omani.works; still names ns1.old.test, ns2.old.test"),
    ]


async def test_our_own_wrong_ns_set_is_told(tree: Tree) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS))
    only = RecordSet(f"{FQDN}.", "NS", 60, ("ns1.omani.works.",))
    await tree.keeper.api.change(FQDN, [Change(only.name, "NS", only)])
    assert ("differs", "lacks ns2.omani.works") in told(await tree.check(), "child")


async def test_a_parent_that_nobody_knows_is_no_agreement() -> None:
    report = await Delegations(DescribedTopology({}, {})).check(FQDN, NS, ds_required=False)
    assert not report.holds
    assert ("silent", "no server of the zone above is known") in told(report, "parent")
    assert not (await Delegations(DescribedTopology({}, {})).gone(FQDN)).holds


async def test_a_name_that_still_answers_is_found_and_silence_counts(tree: Tree) -> None:
    await tree.keeper.publish(FQDN, "192.0.2.1", "", ttl_s=60)
    hosts = {NS[0]: where(tree.ours), NS[1]: NOBODY}
    found = await Delegations(DescribedTopology({}, hosts)).answering(NS, (FQDN,))
    assert [line.split(" at ")[0] for line in found] == [f"{FQDN} A", f"{FQDN} A", f"{FQDN} AAAA"]
    assert (await Delegations(DescribedTopology({}, {})).answering(NS, (FQDN,)))[0].startswith("ns1.omani.works")


@dataclass
class Expired(asyncio.DatagramProtocol):
    """A server whose signatures ended yesterday."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        kind = query.question[0].rdtype
        apex = dns.name.from_text(FQDN)
        dnskey = dns.dnssec.make_dnskey(self.key.public_key(), dns.dnssectypes.Algorithm.ECDSAP256SHA256, flags=257)
        sets = {
            dns.rdatatype.SOA: dns.rrset.from_text(apex, 60, "IN", "SOA", "ns1.omani.works. h.omani.works. 1 1 1 1 1"),
            dns.rdatatype.NS: dns.rrset.from_text(apex, 60, "IN", "NS", *(f"{host}." for host in NS)),
            dns.rdatatype.DNSKEY: dns.rrset.from_rdata(apex, 60, dnskey),
        }
        if found := sets.get(kind):
            ended = datetime.now(UTC) - timedelta(days=1)
            signature = dns.dnssec.sign(
                found, self.key, apex, dnskey, inception=ended - timedelta(days=14), expiration=ended, verify=False
            )
            reply.answer += [found, dns.rrset.from_rdata(apex, 60, signature)]
        self.transport.sendto(reply.to_wire(), addr)


async def test_an_expired_signature_is_told_with_its_time(tree: Tree) -> None:
    await tree.parent.change("example.test", pasted(FQDN, NS))
    loop = asyncio.get_running_loop()
    transport, _protocol = await loop.create_datagram_endpoint(Expired, local_addr=("127.0.0.1", 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        tree.hosts = dict.fromkeys(NS, (f"127.0.0.1:{port}",))
        children = told(await tree.check(), "child")
    finally:
        transport.close()
    assert {verdict for verdict, _said in children} == {"differs"}
    assert all("the signature of its DNSKEY expired at 20" in said for _verdict, said in children)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5300", ("192.0.2.1", 5300)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5300", ("2001:db8::1", 5300)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
    ],
)
def test_places_are_read_in_every_usual_spelling(text: str, place: tuple[str, int]) -> None:
    server = server_at("ns1", text)
    assert (server.address, server.port) == place
