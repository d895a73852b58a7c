"""The whole service on a real broker and a real DNS server, driven by what the other services would say."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp
import pytest
from pydantic import SecretStr

from bus import Bus, SealKeys, run_service
from bus.server import NatsServer
from catalyst.stack.powerdns import PowerDns as Server
from catalyst.stack.powerdns import free_port
from contracts import About, Fact, History
from contracts.catalogue import KEYS, NAME, ZONE
from contracts.dns import (
    DnsAwaitingDelegation,
    DnsDelegated,
    DnsPublished,
    DnsRefused,
    DnsReleased,
    DnsReserved,
    DnsWithdrawn,
)
from contracts.flux import FluxReleased
from contracts.questions import Asker, Name, Nothing, OfSovereign
from contracts.sovereign import SovereignDecommissionRequested, SovereignReady
from contracts.tofu import TofuDestroyed
from dns_pdm.app import dns_pdm
from dns_pdm.powerdns import PowerDns
from dns_pdm.settings import Settings
from tests.conftest import BusOf
from tests.integration.dns_pdm.conftest import NS, POOL, ServerIn, pasted, registry_zone, where
from tests.unit.dns_pdm.said import applied, requested

DEMO = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
F = TypeVar("F", bound=Fact)
Running = Callable[[], Awaitable[str]]


def settings_for(nats: NatsServer, server: Server, folder: Path, **more: Any) -> Settings:
    minting_key = folder / "minting.key"
    if not minting_key.exists():
        minting_key.touch(0o600)
        minting_key.write_text("m" * 43)
    api_key = folder / "powerdns.key"
    api_key.write_text(f"{server.api_key}\n")
    port = free_port("127.0.0.1")
    told: dict[str, Any] = {
        **nats.settings("dns-pdm").model_dump(),
        "powerdns_url": server.api_url,
        "powerdns_key_file": api_key,
        "pool_domains": (POOL,),
        "nameservers": NS,
        "create_pool_zones": True,
        "tree_hosts": dict.fromkeys(NS, where(server)),
        "ds_ttl_s": 1,
        "first_check_s": 0.5,
        "minting_key_file": minting_key,
        "zone_door_port": port,
        "zone_door_url": f"http://127.0.0.1:{port}",
        "update_server": where(server)[0],
    }
    return Settings(**{**told, **more})


@asynccontextmanager
async def running(settings: Settings, bus: Bus) -> AsyncIterator[None]:
    async with dns_pdm(settings, bus) as service, asyncio.TaskGroup() as group:
        work = group.create_task(run_service(service, bus))
        try:
            yield
        finally:
            bus.stopping.set()
            await work


@pytest.fixture
async def door(nats_server: NatsServer, bus_of: BusOf, server: Server, tmp_path: Path) -> AsyncIterator[str]:
    """The service runs; where its zone door is."""
    settings = settings_for(nats_server, server, tmp_path)
    async with running(settings, await bus_of("dns-pdm")):
        yield settings.zone_door_url


@pytest.fixture
async def intake(bus_of: BusOf) -> Bus:
    return await bus_of("intake")


@pytest.fixture
async def tofu(bus_of: BusOf) -> Bus:
    return await bus_of("tofu-runner")


async def say(bus: Bus, fact: Fact, about: About = DEMO) -> None:
    await bus.journal.append([fact], about, cause=uuid4(), after=await bus.journal.fold(about.sovereign))


async def until(bus: Bus, fact: type[F], about: About = DEMO) -> F:
    """The fact of this run, as soon as it is said."""
    async with asyncio.timeout(60):
        while True:
            history: History = await bus.journal.fold(about.sovereign)
            if found := history.data(fact, run=about.run):
                return found
            await asyncio.sleep(0.02)


async def test_a_pool_sovereign_is_reserved_published_and_delegated(
    door: str, intake: Bus, tofu: Bus, nats_server: NatsServer
) -> None:
    await say(intake, requested())
    reserved = await until(intake, DnsReserved)
    assert reserved.zone == "demo.omani.works"
    assert reserved.credential is not None
    await say(tofu, applied())
    published = await until(intake, DnsPublished)
    assert ("console.demo.omani.works", ("192.0.2.10",), 60) in {
        (record.name, record.content, record.ttl_s) for record in published.records
    }
    delegated = await until(intake, DnsDelegated)
    assert {said.side for said in delegated.servers} == {"parent", "child"}
    assert {said.verdict for said in delegated.servers} == {"agrees"}

    keys = SealKeys.load(nats_server.keys / "tofu-runner.seal.json")
    assert keys.service == "tofu-runner"
    told = json.loads(await tofu.vault.open(DEMO.sovereign, 1, "zone-credential"))
    assert told["url"] == f"{door}/demo_omani_works/api/v1"
    async with aiohttp.ClientSession(headers={"X-API-Key": told["api_key"]}) as session:
        async with session.get(f"{told['url']}/servers/localhost/zones/demo.omani.works.") as answer:
            assert answer.status == 200
        async with session.get(f"{door}/other_omani_works/api/v1/servers/localhost/zones") as answer:
            assert answer.status == 401


async def test_ready_lets_resolvers_keep_the_addresses_for_longer(door: str, intake: Bus, tofu: Bus) -> None:
    await say(intake, requested())
    await until(intake, DnsReserved)
    await say(tofu, applied())
    await until(intake, DnsDelegated)
    await say(intake, SovereignReady(urls=()))
    async with asyncio.timeout(60):
        while {record.ttl_s for record in (await until(intake, DnsPublished)).records} != {300}:
            await asyncio.sleep(0.02)


async def test_a_decommission_takes_everything_away_in_its_order(
    door: str, intake: Bus, tofu: Bus, bus_of: BusOf, api: PowerDns
) -> None:
    await say(intake, requested())
    await until(intake, DnsReserved)
    await say(tofu, applied())
    await until(intake, DnsDelegated)
    told = json.loads(await tofu.vault.open(DEMO.sovereign, 1, "zone-credential"))
    await say(intake, SovereignDecommissionRequested())
    await say(await bus_of("flux-watcher"), FluxReleased(verified=True))
    withdrawn = await until(intake, DnsWithdrawn)
    assert "console.demo.omani.works A" in withdrawn.removed
    async with (
        aiohttp.ClientSession(headers={"X-API-Key": told["api_key"]}) as session,
        session.get(f"{told['url']}/servers/localhost/zones") as answer,
    ):
        assert answer.status == 401
    assert await api.zone("demo.omani.works") is not None
    await say(tofu, TofuDestroyed())
    released = await until(intake, DnsReleased)
    assert released.proof
    assert await api.zone("demo.omani.works") is None
    assert await api.records_at(POOL, "demo.omani.works") == ()


async def test_a_reserved_label_is_refused_and_leaves_nothing(door: str, intake: Bus, api: PowerDns) -> None:
    about = DEMO.model_copy(update={"sovereign": "www_omani_works"})
    await say(intake, requested("www.omani.works"), about)
    refused = await until(intake, DnsRefused, about)
    assert (refused.trouble.code, refused.trouble.owner) == ("fqdn-reserved", "user")
    assert await api.zone("www.omani.works") is None


async def test_a_customers_domain_waits_through_a_restart_and_goes_on_by_itself_when_it_is_pasted(
    nats_server: NatsServer, bus_of: BusOf, server: Server, server_in: ServerIn, tmp_path: Path, intake: Bus
) -> None:
    about = DEMO.model_copy(update={"sovereign": "shop_example_test"})
    registry = await server_in("registry")
    hosts = {**dict.fromkeys(NS, where(server)), "ns.registry.test": where(registry)}

    def settings() -> Settings:
        """A replica's own: its zone door listens elsewhere."""
        zones = {"example.test": ("ns.registry.test",)}
        return settings_for(nats_server, server, tmp_path, tree_zones=zones, tree_hosts=hosts)

    async with PowerDns.connect(registry.api_url, SecretStr(registry.api_key)) as parent:
        await parent.create(registry_zone("example.test"))
        async with running(settings(), await bus_of("dns-pdm")):
            await say(intake, requested("shop.example.test", "byo-manual"), about)
            reserved = await until(intake, DnsReserved, about)
            waiting = await until(intake, DnsAwaitingDelegation, about)
        assert (waiting.nameservers, waiting.ds) == (NS, reserved.ds)
        assert [said.said for said in waiting.servers if said.side == "parent"] == ["does not delegate the zone"]
        await parent.change("example.test", pasted("shop.example.test", NS, reserved.ds))
        # Nobody was there when the timer fired; now there are two, and one of them goes on.
        async with running(settings(), await bus_of("dns-pdm")), running(settings(), await bus_of("dns-pdm")):
            delegated = await until(intake, DnsDelegated, about)
    assert [said.ds_key_tags for said in delegated.servers if said.side == "parent"] == [
        tuple(ds.key_tag for ds in reserved.ds)
    ]
    said = [item.event.data.fact for item in (await intake.journal.history(about.sovereign)).recorded]
    assert (said.count("dns.reserved"), said.count("dns.delegated")) == (1, 1)


async def test_two_replicas_make_one_zone_of_each_name_and_the_way_back_leaves_none(
    nats_server: NatsServer, bus_of: BusOf, server: Server, api: PowerDns, tmp_path: Path, intake: Bus, tofu: Bus
) -> None:
    names = [f"twin-{number}" for number in range(6)]
    abouts = [DEMO.model_copy(update={"sovereign": f"{name}_omani_works"}) for name in names]
    flux = await bus_of("flux-watcher")
    one, other = (settings_for(nats_server, server, tmp_path) for _ in range(2))
    async with running(one, await bus_of("dns-pdm")), running(other, await bus_of("dns-pdm")):
        before = await api.zone(POOL)
        for name, about in zip(names, abouts, strict=True):
            await say(intake, requested(f"{name}.omani.works"), about)
        for about in abouts:
            await until(intake, DnsReserved, about)
            await say(tofu, applied(), about)
        for about in abouts:
            await until(intake, DnsDelegated, about)
            await say(intake, SovereignDecommissionRequested(), about)
            await say(flux, FluxReleased(verified=True), about)
        assert set(await api.zone_names()) == {POOL, *(f"{name}.omani.works" for name in names)}
        for about in abouts:
            await until(intake, DnsWithdrawn, about)
            await say(tofu, TofuDestroyed(), about)
        for about in abouts:
            await until(intake, DnsReleased, about)
    assert await api.zone_names() == (POOL,)
    after = await api.zone(POOL)
    assert before is not None
    assert after is not None
    held = [{item for item in zone.records if item.type != "SOA"} for zone in (before, after)]
    assert held[0] == held[1]
    for about in abouts:
        said = [item.event.data.fact for item in (await intake.journal.history(about.sovereign)).recorded]
        assert len(said) == len(set(said)), said


async def test_names_and_zones_are_answered(door: str, intake: Bus, bus_of: BusOf) -> None:
    await say(intake, requested())
    await until(intake, DnsReserved)
    gateway = await bus_of("gateway")

    async def verdict(fqdn: str, owner: str = "acme") -> tuple[str, str]:
        reply = await gateway.ask(NAME, Name(fqdn=fqdn), asker=Asker(actor="ann", owner=owner))
        return reply.verdict, reply.reason

    assert await verdict("new.omani.works") == ("free", "")
    assert (await verdict("demo.omani.works"))[0] == "taken"
    assert "your Sovereign" in " ".join(await verdict("demo.omani.works"))
    assert "your Sovereign" not in " ".join(await verdict("demo.omani.works", "other"))
    assert (await verdict("Demo.Omani.Works."))[0] == "taken"
    zone = await gateway.ask(ZONE, OfSovereign(sovereign=DEMO.sovereign), asker=Asker(actor="ann", owner="acme"))
    assert {record.type for record in zone.records} == {"SOA", "NS"}
    keys = await gateway.ask(KEYS["dns-pdm"], Nothing())
    assert keys.service == "dns-pdm"
    assert keys.keys
