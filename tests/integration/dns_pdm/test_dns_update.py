"""The Sovereign's credential as it reaches cert-manager, used as cert-manager uses it: DNS UPDATE with TSIG.

From dns-pdm through the vault, the module's user data and the kit's issuer to the packet: every step is the real one.
"""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
import pytest
import yaml

from bus import Bus
from bus.server import NatsServer
from catalyst.stack.powerdns import PowerDns as Server
from contracts.dns import DnsPublished, DnsReserved, DnsWithdrawn
from contracts.event import About
from contracts.flux import FluxReleased
from contracts.sovereign import SovereignDecommissionRequested
from dns_pdm.powerdns import PowerDns, Zone
from sandbox.node.cloud_config import read
from tests.conftest import BusOf
from tests.integration.dns_pdm.conftest import POOL, ROOT
from tests.integration.dns_pdm.test_service import DEMO, running, say, settings_for, until
from tests.integration.module.rendering import render
from tests.unit.dns_pdm.said import applied, requested
from tofu_runner.keep import ZONE_PARTS

FQDN = "demo.omani.works"
ISSUERS = ROOT / "deploy/kit/components/catalyst-platform/front-door/issuers.yaml"


@dataclass
class Solver:
    """What cert-manager reads from an issuer and its secret, and does with it."""

    nameserver: str
    key_name: str
    algorithm: str
    secret: str

    @property
    def key(self) -> dns.tsig.Key:
        known = {"HMACSHA256": "hmac-sha256"}
        return dns.tsig.Key(dns.name.from_text(self.key_name), self.secret, known[self.algorithm])

    async def update(
        self, zone: str, name: str, kind: str = "TXT", content: str = '"proof"', *, keyed: bool = True
    ) -> str:
        """Remove the record set, insert the record; how the server answers."""
        message = dns.update.UpdateMessage(zone)
        if keyed:
            message.use_tsig(self.key)
        message.replace(name, 60, kind, content)
        host, port = self.nameserver.split(":")
        try:
            return dns.rcode.to_text((await dns.asyncquery.udp(message, host, timeout=5, port=int(port))).rcode())
        except dns.message.UnknownTSIGKey:
            return "UNSIGNED"
        except dns.exception.FormError:
            return "UNSIGNED"  # a key that the server does not know (any more) is answered without a signature

    async def transfer(self, zone: str) -> str:
        """The whole zone, or how that is refused."""
        host, port = self.nameserver.split(":")
        found = dns.zone.Zone(zone)
        query, _serial = dns.xfr.make_query(found, keyring={self.key.name: self.key})
        try:
            await dns.asyncquery.inbound_xfr(host, found, query, port=int(port), timeout=5, lifetime=10)
        except dns.xfr.TransferError as error:
            return dns.rcode.to_text(error.rcode)
        return f"{len(found.nodes)} names"


def substituted(user_data: str) -> dict[str, str]:
    """What the components of the kit get in place of ``${…}``, from the files that cloud-init writes."""
    files = {str(file.path): file.content.decode() for file in read(user_data).files}
    values: dict[str, str] = {}
    for document in yaml.safe_load_all(files["/etc/catalyst/sovereign.yaml"]):
        if document and document["metadata"]["name"] == "catalyst-sovereign":
            held = document["data"]
            values |= held if document["kind"] == "ConfigMap" else {key: _decoded(text) for key, text in held.items()}
    return values


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def solver_of(values: dict[str, str]) -> Solver:
    """The production issuer of the kit with these values."""
    text = re.sub(r"\$\{([A-Z_0-9]+)\}", lambda match: values[match[1]], ISSUERS.read_text())
    documents = {each["metadata"]["name"]: each for each in yaml.safe_load_all(text)}
    asked = documents["letsencrypt-production"]["spec"]["acme"]["solvers"][0]["dns01"]["rfc2136"]
    held = documents[asked["tsigSecretSecretRef"]["name"]]["stringData"][asked["tsigSecretSecretRef"]["key"]]
    return Solver(asked["nameserver"], asked["tsigKeyName"], asked["tsigAlgorithm"], held)


@dataclass
class Scene:
    intake: Bus
    tofu: Bus
    flux: Bus
    api: PowerDns
    solver: Solver

    async def texts(self, zone: str, name: str) -> tuple[str, ...]:
        found = await self.api.records_at(zone, name) or ()
        return tuple(text for item in found if item.type == "TXT" for text in item.content)


@pytest.fixture
async def scene(
    nats_server: NatsServer, bus_of: BusOf, server: Server, api: PowerDns, tmp_path: Path
) -> AsyncIterator[Scene]:
    intake, tofu = await bus_of("intake"), await bus_of("tofu-runner")
    async with running(settings_for(nats_server, server, tmp_path), await bus_of("dns-pdm")):
        for name in ("demo", "other"):
            about = DEMO.model_copy(update={"sovereign": f"{name}_omani_works"})
            await say(intake, requested(f"{name}.omani.works"), about)
            await until(intake, DnsReserved, about)
        told = json.loads(await tofu.vault.open(DEMO.sovereign, 1, "zone-credential"))
        assert set(told) == set(ZONE_PARTS)
        user_data = await asyncio.to_thread(render, tmp_path / "module", zone_credential=told)
        solver = solver_of(substituted(user_data["demo-omani-works-cp1"]))
        yield Scene(intake, tofu, await bus_of("flux-watcher"), api, solver)


async def test_a_sovereign_writes_its_own_challenge_and_nothing_else_until_it_is_decommissioned(scene: Scene) -> None:
    solver, api = scene.solver, scene.api
    challenge = f"_acme-challenge.{FQDN}."
    serial = (await _zone(api, FQDN)).serial
    assert await solver.update(FQDN, challenge) == "NOERROR"
    assert await scene.texts(FQDN, challenge) == ('"proof"',)
    assert (await _zone(api, FQDN)).serial > serial

    before = await _zone(api, f"other.{POOL}"), await _zone(api, POOL)
    for zone, name in (
        (f"other.{POOL}", f"_acme-challenge.other.{POOL}."),
        (POOL, f"_acme-challenge.{POOL}."),
        (POOL, f"{FQDN}."),
        ("works", "x.works."),
    ):
        assert await solver.update(zone, name) in {"REFUSED", "NOTAUTH"}, zone
    assert await solver.update(FQDN, f"x.other.{POOL}.") == "NOTZONE"
    assert await solver.update(FQDN, challenge, content='"forged"', keyed=False) == "REFUSED"
    assert {await solver.transfer(zone) for zone in (FQDN, f"other.{POOL}", POOL)} == {"NOTAUTH"}
    assert (await _zone(api, f"other.{POOL}"), await _zone(api, POOL)) == before
    assert await scene.texts(FQDN, challenge) == ('"proof"',)

    # What it wrote is foreign to us: a publication leaves it, and names it.
    await say(scene.tofu, applied())
    assert (await until(scene.intake, DnsPublished)).foreign == (f"_acme-challenge.{FQDN} TXT",)

    await decommission(scene, DEMO)
    assert await solver.update(FQDN, challenge, content='"late"') in {"REFUSED", "UNSIGNED"}
    assert await scene.texts(FQDN, challenge) == ()


async def decommission(scene: Scene, about: About) -> None:
    await say(scene.intake, SovereignDecommissionRequested(), about)
    await say(scene.flux, FluxReleased(verified=True), about)
    await until(scene.intake, DnsWithdrawn, about)


async def _zone(api: PowerDns, name: str) -> Zone:
    found = await api.zone(name)
    assert found is not None
    return found
