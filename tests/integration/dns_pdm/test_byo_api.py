"""A customer's domain by its registrar's API, there and back, through the whole service: OVH, which makes DS of keys.

Real are service, broker, both name servers and every question to them; the registrar is a stand-in over HTTP.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from bus import Bus, seal
from bus.server import NatsServer
from catalyst.stack.powerdns import PowerDns as Server
from contracts.dns import DnsDelegated, DnsFlipped, DnsReleased, DnsReserved, DsRecord
from contracts.flux import FluxReleased
from contracts.request import Domain
from contracts.sovereign import SovereignDecommissionRequested
from contracts.tofu import TofuDestroyed
from dns_pdm.delegation import Delegations
from dns_pdm.powerdns import PowerDns
from dns_pdm.topology import DescribedTopology
from dns_pdm.zones import Change, RecordSet
from sandbox.registrars import Registrars as Simulated
from tests.conftest import BusOf
from tests.integration.dns_pdm.conftest import NS, ServerIn, registry_zone, where
from tests.integration.dns_pdm.test_registrars import OLD, Customer, customer_of, simulated
from tests.integration.dns_pdm.test_service import DEMO, running, say, settings_for, until
from tests.unit.dns_pdm.said import applied, requested

__all__ = ["simulated"]

SHOP = DEMO.model_copy(update={"sovereign": "shop_example_test"})
FQDN = "shop.example.test"
TTL_S = 1


@asynccontextmanager
async def following(customer: Customer, registry: PowerDns) -> AsyncIterator[None]:
    """The registry shows what the registrar holds."""

    async def follow() -> None:
        shown: tuple[RecordSet, ...] = ()
        while True:
            ds = [DsRecord.model_validate(row) for row in customer.domain.ds]
            told = tuple(f"{one.key_tag} {one.algorithm} {one.digest_type} {one.digest}" for one in ds)
            names = tuple(f"{name.lower()}." for name in customer.domain.nameservers)
            held = (RecordSet(f"{FQDN}.", "NS", TTL_S, names), RecordSet(f"{FQDN}.", "DS", TTL_S, told))
            if held != shown:
                changes = [Change(one.name, one.type, one if one.content else None) for one in held]
                await registry.change("example.test", changes)
                shown = held
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        yield
        task.cancel()


async def flipped_to_our_ds(intake: Bus, ours: tuple[DsRecord, ...]) -> None:
    async with asyncio.timeout(60):
        while (await until(intake, DnsFlipped, SHOP)).ds != ours:
            await asyncio.sleep(0.02)


async def test_a_domain_goes_to_us_with_its_ds_and_back_to_what_stood_there(
    nats_server: NatsServer,
    bus_of: BusOf,
    server: Server,
    server_in: ServerIn,
    tmp_path: Path,
    simulated: tuple[Simulated, str],
) -> None:
    customer = customer_of("ovh", simulated)
    customer.account.domains = {FQDN: customer.account.domains[customer.fqdn]}
    customer.fqdn = FQDN
    former = customer.their_ds
    customer.domain.ds = [former.model_dump()]
    registry = await server_in("registry")
    zones, hosts = {"example.test": ("ns.registry.test",)}, {**dict.fromkeys(NS, where(server))}
    hosts["ns.registry.test"] = where(registry)
    urls = {"ovh": customer.root}
    told = {"tree_zones": zones, "tree_hosts": hosts, "registrar_urls": urls, "slowest_check_s": 0.5}
    settings = settings_for(nats_server, server, tmp_path, **told)
    intake, tofu, flux = await bus_of("intake"), await bus_of("tofu-runner"), await bus_of("flux-watcher")
    token = seal(
        json.dumps(customer.account.credentials).encode(), to=intake.public_keys_of("dns-pdm")[0], reader="dns-pdm",
        purpose="registrar-token", bound_to=SHOP.sovereign,
    )  # fmt: skip
    await intake.vault.put(SHOP.sovereign, 1, token)
    asked = requested(FQDN, "byo-manual")
    domain = Domain(mode="byo-api", fqdn=FQDN, registrar="ovh")
    asked = asked.model_copy(update={"shape": asked.shape.model_copy(update={"domain": domain})})
    world = Delegations(DescribedTopology(zones, hosts))
    async with PowerDns.connect(registry.api_url, SecretStr(registry.api_key)) as parent:
        await parent.create(registry_zone("example.test"))
        async with following(customer, parent), running(settings, await bus_of("dns-pdm")):
            await say(intake, asked, SHOP)
            reserved = await until(intake, DnsReserved, SHOP)
            assert reserved.registrar is not None
            assert [one.identity for one in reserved.registrar.ds or ()] == [former.identity]
            assert customer.account.writes == 0
            await say(tofu, applied(), SHOP)
            await until(intake, DnsDelegated, SHOP)
            await flipped_to_our_ds(intake, reserved.ds)
            assert [DsRecord.model_validate(row).identity for row in customer.domain.ds] == [reserved.ds[0].identity]
            async with asyncio.timeout(30):
                while not (await world.check(FQDN, NS, ds_required=True)).holds:
                    await asyncio.sleep(0.05)

            await say(intake, SovereignDecommissionRequested(restore_nameservers=True), SHOP)
            await say(flux, FluxReleased(verified=True), SHOP)
            await say(tofu, TofuDestroyed(), SHOP)
            released = await until(intake, DnsReleased, SHOP)
            assert (set(released.restored), released.left) == (set(OLD), "")
            assert set(customer.domain.nameservers) == set(OLD)
            assert [DsRecord.model_validate(row).identity for row in customer.domain.ds] == [former.identity]
    assert not await server.serves(FQDN)
    assert (await world.gone(FQDN)).servers[0].nameservers == tuple(sorted(OLD))
