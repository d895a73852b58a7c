"""A Sovereign on a real bus, with a light cluster: the other services' facts are said by the test in their name."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from bus import Bus, run_service
from bus.seal import seal
from bus.server import NatsServer
from contracts.event import About, Event, Fact
from contracts.node import NodeEnrolled
from contracts.request import SovereignRequest
from contracts.sovereign import SovereignRequested
from contracts.tofu import Node, TofuApplied
from flux_watcher.app import flux_watcher
from flux_watcher.settings import Settings
from sandbox.cluster import LightCluster, Scenario, build_clusters
from sandbox.cluster.ingress import HTTPS_PORT
from sandbox.cluster.scenario import HAPPY
from tests.conftest import BusOf
from tests.integration.flux_watcher.names import NameServer, name_server
from tests.integration.sandbox_cluster.conftest import KIT, Bench, address
from tests.requests import request_body

SOVEREIGN = "acme_omani_works"


def about(run: int = 1, life: int = 1) -> About:
    return About(sovereign=SOVEREIGN, owner="omantel", life=life, run=run)


async def eventually(holds: Callable[[], Awaitable[Any]], within: float = 90.0, *, every: float = 0.03) -> Any:
    """Wait for a condition, under a bound; what it found."""
    async with asyncio.timeout(within):
        while not (found := await holds()):
            await asyncio.sleep(every)
        return found


class Told:
    """One Sovereign on the bus, whatever its cluster is."""

    def __init__(self, server: NatsServer, bus_of: BusOf, where: str, names: NameServer, roots: Path) -> None:
        self.server, self.bus_of, self.address, self.names, self.roots = server, bus_of, where, names, roots
        self._reader: Bus | None = None

    def settings(self, replica: str = "one", **more: Any) -> Settings:
        values = self.server.settings("flux-watcher", replica=replica).model_dump(exclude={"uvloop", "replica"})
        given = {
            "kit_catalogue": KIT / "catalogue.yaml",
            "https_port": HTTPS_PORT,
            "resolvers": f"127.0.0.1:{self.names.port}",
            "trust_roots": self.roots,
            "stable_s": 0.3,
            "diverged_s": 0.2,
            "busy_s": 0.2,
            "calm_s": 0.3,
            "probe_s": 0.2,
            "probe_calm_s": 0.5,
            "look_s": 0.1,
            **more,
        }
        return Settings(replica=replica, **values, **given)

    @asynccontextmanager
    async def watcher(self, replica: str = "one", **more: Any) -> AsyncIterator[Bus]:
        """A replica of flux-watcher in this process."""
        settings = self.settings(replica, **more)
        bus = await self.bus_of("flux-watcher", replica=replica)
        async with flux_watcher(settings, bus) as service, asyncio.TaskGroup() as group:
            task = group.create_task(run_service(service, bus))
            try:
                yield bus
            finally:
                bus.stopping.set()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait_for(task, 10)

    async def say(self, fact: Fact, *, by: str, run: int = 1) -> Event[Any]:
        bus = await self.bus_of(by)
        history = await bus.journal.fold(SOVEREIGN)
        after = await bus.journal.append([fact], about(run), cause=uuid4(), after=history)
        return after.recorded[-1].event

    async def request(self, run: int = 1) -> None:
        shape = SovereignRequest.model_validate(request_body("acme.omani.works")).shape()
        fact = SovereignRequested(
            request_id=uuid4(), kind="new", shape=shape, body_digest="0" * 64, admin_ref=f"{SOVEREIGN}.1.admin"
        )
        await self.say(fact, by="intake", run=run)

    async def apply(self, run: int = 1) -> None:
        fact = TofuApplied(
            add=1,
            change=0,
            destroy=0,
            nodes=(_node("acme-omani-works-cp1", "control-plane"), _node("acme-omani-works-w1", "worker")),
            load_balancer_id=1,
            load_balancer_ipv4=self.address,
            network_id=1,
            state_serial=run,
        )
        await self.say(fact, by="tofu-runner", run=run)

    async def hand_in(self, body: bytes) -> Event[Any]:
        intake = await self.bus_of("intake")
        key = intake.public_keys_of("flux-watcher")[0]
        sealed = seal(body, to=key, reader="flux-watcher", purpose="kubeconfig", bound_to=SOVEREIGN)
        reference = await intake.vault.put(SOVEREIGN, 1, sealed)
        digest = hashlib.sha256(body).hexdigest()
        fact = NodeEnrolled(server="acme-omani-works-cp1", kubeconfig=reference, body_sha256=digest)
        return await self.say(fact, by="intake")

    async def events(self) -> list[Event[Any]]:
        if self._reader is None:
            self._reader = await self.bus_of("gateway")
        return [item.event for item in (await self._reader.journal.history(SOVEREIGN)).recorded]

    async def facts(self, kind: type[Fact], run: int | None = None) -> list[Any]:
        return [e.data for e in await self.events() if isinstance(e.data, kind) and run in {None, e.run}]

    async def until(self, kind: type[Fact], within: float = 90.0, *, run: int | None = None) -> Any:
        async def said() -> Any:
            found = await self.facts(kind, run)
            return found[-1] if found else None

        try:
            return await eventually(said, within)
        except TimeoutError:
            lines = [f"{e.run} {e.data.fact} {e.data.key}" for e in await self.events()]
            pytest.fail(f"no {kind.fact} within {within:g} s; said were:\n" + "\n".join(lines))


class Stage(Told):
    """One Sovereign with a light cluster."""

    def __init__(self, server: NatsServer, bus_of: BusOf, bench: Bench, names: NameServer, roots: Path) -> None:
        super().__init__(server, bus_of, bench.address, names, roots)
        self.bench = bench
        self.cluster: LightCluster | None = None

    async def boot(self, scenario: Scenario = HAPPY) -> LightCluster:
        self.cluster = await self.bench.boot(SOVEREIGN, scenario)
        await self.bench.install_flux(self.cluster)
        await self.bench.hand_kit_to_flux(self.cluster)
        return self.cluster

    def kubeconfig(self) -> bytes:
        assert self.cluster is not None
        ca = base64.b64encode(self.cluster.kubeconfig_ca().encode()).decode()
        user = {"token": self.cluster.token_for("catalyst-zero", "watcher")}
        # The server written here is nobody's: the address must come from the outputs.
        cluster = {"server": "https://192.0.2.1:6443", "certificate-authority-data": ca}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "sovereign",
                "clusters": [{"name": "sovereign", "cluster": cluster}],
                "users": [{"name": "watcher", "user": user}],
                "contexts": [{"name": "sovereign", "context": {"cluster": "sovereign", "user": "watcher"}}],
            }
        ).encode()

    async def enrol(self, content: bytes | None = None) -> Event[Any]:
        return await self.hand_in(content or self.kubeconfig())

    async def begin(self) -> None:
        await self.request()
        await self.apply()
        await self.enrol()


def _node(name: str, role: Any) -> Node:
    return Node(name=name, cloud_id=1, role=role, server_type="cpx22", location="fsn1")


@pytest.fixture
async def stage(nats_server: NatsServer, bus_of: BusOf, tmp_path: Path) -> AsyncIterator[Stage]:
    clusters = build_clusters(tmp_path / "sandbox", KIT, pace=0.05)
    bench = Bench(clusters, address())
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bench.close)
        names = await stack.enter_async_context(name_server(bench.address))
        yield Stage(nats_server, bus_of, bench, names, tmp_path / "sandbox" / "root-ca.pem")
