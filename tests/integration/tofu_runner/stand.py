"""What the tests of the cloud half stand on: a real broker, the simulated cloud, real OpenTofu, the service's world.

Simulated is the cloud alone (package ``sandbox``, its servers boot nothing); OpenTofu, provider, SDK, broker and the
service's adapters are the real ones.
"""

import asyncio
import functools
import json
import os
import secrets
import string
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from aiohttp import ClientSession

from bus import Bus, connect, seal
from bus.server import NatsServer
from contracts import About, Event, Fact, History
from contracts.dns import DnsReserved, DnsWithdrawn
from contracts.identity import fqdn_of
from contracts.node import NodeEnrolled
from contracts.request import SecretRef, Shape
from contracts.sovereign import SovereignDecommissionRequested, SovereignHandedOver, SovereignRequested
from sandbox.app import Sandbox, sandbox
from sandbox.hetzner.tokens import NewToken
from sandbox.node.cloud_config import read
from sandbox.settings import Settings as SandboxSettings
from tofu_runner import handlers
from tofu_runner.bench import World
from tofu_runner.keep import Keep
from tofu_runner.kit import kit_beside
from tofu_runner.settings import Settings
from tofu_runner.tofu import Tofu

LOCKED = 423
SOVEREIGN = "demo_omani_works"
EMAIL = "canary-admin@example.org"
ZONE_KEY = "canary-zone-key-0123456789"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx0yT6ZHzmYqNPbzkAdEWDHqgVqZdYVOkOJ0n2PpQ2M admin@example.org"

ALIVE = {
    "firewalls": 1,
    "load_balancers": 1,
    "networks": 1,
    "placement_groups": 1,
    "primary_ips": 2,
    "servers": 1,
    "ssh_keys": 1,
}
"""What an undisturbed run of one control plane leaves in the cloud."""


def new_token() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(64))


def shape(fqdn: str = fqdn_of(SOVEREIGN), **topology: Any) -> Shape:
    return Shape.model_validate(
        {
            "organisation": {"name": "Acme ${not.a.template}"},
            "topology": {"region": "fsn1", **topology},
            "domain": {"fqdn": fqdn},
            "ssh_public_key": SSH_KEY,
            "ssh_allowed_cidrs": ["203.0.113.7/32"],
        }
    )


@dataclass
class Stand:
    """Everything up, and how to play the other services' parts."""

    server: NatsServer
    cloud: Sandbox
    token: str
    settings: Settings
    intake: Bus
    dns: Bus
    runner: Bus
    session: ClientSession
    sovereign: str = SOVEREIGN

    @property
    def fqdn(self) -> str:
        return fqdn_of(self.sovereign)

    def world(self, bus: Bus | None = None, **changed: Any) -> World:
        settings = self.settings.model_copy(update=changed)
        return World(
            bus=bus or self.runner,
            settings=settings,
            session=self.session,
            tofu=Tofu(settings.tofu, settings.tofu_cli_config, settings.module, settings.work_dir),
            kit=kit_beside(settings.module),
            keep=Keep((bus or self.runner).vault, (bus or self.runner).account),
            places=asyncio.Semaphore(settings.places),
        )

    def about(self, run: int = 1) -> About:
        return About(sovereign=self.sovereign, owner="acme", life=1, run=run)

    async def history(self) -> History:
        return await self.intake.journal.fold(self.sovereign)

    async def everything(self) -> History:
        return await self.intake.journal.history(self.sovereign)

    async def say(self, bus: Bus, fact: Fact, run: int = 1) -> Event[Any]:
        history = await self.history()
        said = await bus.journal.append([fact], self.about(run), cause=uuid4(), after=history)
        return said.recorded[-1].event

    async def put_secret(self, bus: Bus, purpose: str, plaintext: bytes) -> None:
        to = self.intake.public_keys_of("tofu-runner")[0]
        sealed = seal(plaintext, to=to, reader="tofu-runner", purpose=purpose, bound_to=self.sovereign)
        await bus.vault.put(self.sovereign, 1, sealed)

    async def request(
        self,
        wanted: Shape | None = None,
        *,
        run: int = 1,
        token: str | None = None,
        kind: Literal["change", "retry"] = "change",
    ) -> Event[DnsReserved]:
        """What intake and dns-pdm do before tofu-runner's turn."""
        await self.intake.account.put(f"{self.sovereign}.1.admin", json.dumps({"email": EMAIL}).encode())
        await self.put_secret(self.intake, "cloud-token", (token or self.token).encode())
        zone = {"url": "http://127.0.0.1:8081", "api_key": ZONE_KEY, "nameserver": "127.0.0.1:53"}
        zone |= {"tsig_name": "catalyst-1.demo.omani.works", "tsig_secret": ZONE_KEY}
        await self.put_secret(self.dns, "zone-credential", json.dumps(zone).encode())
        requested = SovereignRequested(
            request_id=uuid4(),
            kind=kind if run > 1 else "new",
            shape=wanted or shape(self.fqdn),
            body_digest="0" * 64,
            admin_ref=f"{self.sovereign}.1.admin",
        )
        await self.say(self.intake, requested, run)
        return await self.say(self.dns, DnsReserved(zone=self.fqdn, nameservers=("ns1.example.",)), run)

    async def provision(self, event: Event[DnsReserved], world: World | None = None) -> None:
        await handlers.provision(event, await self.history(), world=world or self.world())

    async def hand_over(self, world: World | None = None) -> None:
        """The cluster is up and stands on its own: what intake says, and what tofu-runner then forgets."""
        reference = SecretRef(reader="flux-watcher", name="kubeconfig", kid="1", sha256="0" * 64)
        enrolled = NodeEnrolled(server="", kubeconfig=reference, caller_ip="", body_sha256="0" * 64)
        await self.say(self.intake, enrolled)
        event = await self.say(self.intake, SovereignHandedOver())
        await handlers.forget(event, await self.history(), world=world or self.world())

    async def lose_state(self) -> None:
        """Delete every version of the state where it rests."""
        bucket = self.runner.kv("tofu")
        for key in await bucket.keys(f"{self.sovereign}.>"):
            if not key.endswith((".mutations", ".waits")):
                await bucket.delete(key)

    def join_tokens(self) -> dict[str, str]:
        """What each server was told to join with, by the user data that it was made with."""
        servers = self.cloud.simulation.cloud.project("acme").tables["servers"].values()
        files = {
            row["name"]: {str(f.path): f.content.decode() for f in read(row["_user_data"]).files} for row in servers
        }
        lines = {name: held["/etc/catalyst/secrets"].splitlines() for name, held in files.items()}
        return {name: next(line.split()[1] for line in found if "join-token" in line) for name, found in lines.items()}

    async def decommission(self, world: World | None = None, run: int = 1) -> None:
        await self.say(self.intake, SovereignDecommissionRequested(), run)
        withdrawn = await self.say(self.dns, DnsWithdrawn(), run)
        await handlers.destroy(withdrawn, await self.history(), world=world or self.world())

    async def secrets_kept(self) -> set[str]:
        """Names of the secrets of this life that tofu-runner could still open."""
        kept = set()
        for name in ("cloud-token", "zone-credential", "node-secrets", "state-key"):
            try:
                await self.runner.vault.open(self.sovereign, 1, name)
            except KeyError:
                continue
            kept.add(name)
        return kept

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A call of the cloud's API as somebody else with the customer's token makes it, again while it is locked."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with asyncio.timeout(20):
            while True:
                async with self.session.request(
                    method, f"{self.cloud.endpoint}{path}", json=body, headers=headers
                ) as reply:
                    if reply.status != LOCKED:
                        assert reply.ok, await reply.text()
                        return await reply.json()
                await asyncio.sleep(0.02)

    async def drop(self, path: str) -> None:
        """Somebody else with the customer's token takes something away."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.delete(f"{self.cloud.endpoint}{path}", headers=headers) as reply:
            assert reply.ok, await reply.text()

    def alive(self) -> dict[str, int]:
        """Resources that the simulated cloud has, by kind."""
        resources = self.cloud.simulation.ledger.totals()["resources"]
        return {kind: row["alive"] for kind, row in resources.items() if row["alive"]}

    def created(self) -> dict[str, int]:
        return {k: row["created"] for k, row in self.cloud.simulation.ledger.totals()["resources"].items()}

    def mutations(self) -> int:
        """Changes that the cloud took, the token's probe aside."""
        lines = self.cloud.simulation.ledger.lines()
        done = [line for line in lines if line.get("status") in {200, 201, 204}]
        return sum(not line.get("call", "GET").startswith("GET") for line in done)

    def calls(self) -> Counter[str]:
        """How often each operation was called."""
        calls = self.cloud.simulation.ledger.totals()["calls"]
        return Counter({operation: sum(by_status.values()) for operation, by_status in calls.items()})


@functools.cache
def tofu_paths() -> tuple[Path, Path]:
    """OpenTofu and its configuration, as the environment names them, else as the tool box does."""
    known = dict(os.environ)
    if "CATALYST_TOFU" not in known:
        tools = Path(__file__).parents[3] / "deploy" / "tools" / "tools.py"
        told = subprocess.run(
            [sys.executable, str(tools), "env"], capture_output=True, text=True, check=True, timeout=30
        )
        known |= dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)
    return Path(known["CATALYST_TOFU"]), Path(known["CATALYST_TOFU_CLI_CONFIG"])


@asynccontextmanager
async def _short_folder() -> AsyncIterator[Path]:
    """pytest's own folders are too deep for the provider's socket."""
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        yield Path(folder)


@asynccontextmanager
async def stand(
    server: NatsServer, folder: Path, *, durations: dict[str, float] | None = None, **changed: Any
) -> AsyncIterator[Stand]:
    """Everything up; with the cloud's durations (seconds per action) and the runner's settings changed as asked."""
    token = new_token()
    tofu, cli_config = tofu_paths()
    async with (
        _short_folder() as work,
        sandbox(SandboxSettings(dir=folder / "cloud", action_s=0.05, durations=durations or {})) as cloud,
        connect(server.settings("intake"), "intake") as intake,
        connect(server.settings("dns-pdm"), "dns-pdm") as dns,
        connect(server.settings("tofu-runner"), "tofu-runner") as runner,
        ClientSession() as session,
    ):
        cloud.simulation.tokens.add(NewToken(token=token, project="acme"))  # type: ignore[arg-type]  # pydantic reads text
        given: dict[str, Any] = {
            "tofu": tofu,
            "tofu_cli_config": cli_config,
            "work_dir": work,
            "hcloud_endpoint": cloud.endpoint,
            "sample_prices": True,
            "node_door_url": "http://127.0.0.1:8080",
            "kit_url": "http://127.0.0.1:3000/kit.git",
            "kit_revision": "main",
            "poll_s": 0.05,
            "cloud_timeout_s": 3,
            "watch_every_s": 0.2,
            "transient_pause_s": 0.1,
            "places": 2,
        }
        settings = Settings.model_validate(server.settings("tofu-runner").model_dump() | given | changed)
        yield Stand(server, cloud, token, settings, intake, dns, runner, session)


async def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for a condition, under a bound."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
