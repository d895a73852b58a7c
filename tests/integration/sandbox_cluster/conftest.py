"""Light clusters on loopback addresses of their own, and the real Kubernetes client for them."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import watch as kubernetes_watch

from sandbox.cluster import Clusters, LightCluster, Scenario, build_clusters
from sandbox.cluster.light import API_PORT
from sandbox.cluster.scenario import HAPPY

REPOSITORY = Path(__file__).resolve().parents[3]
KIT = REPOSITORY / "deploy" / "kit"
WATCHER = REPOSITORY / "deploy" / "tofu" / "hetzner" / "manifests" / "watcher.yaml"
_numbers = itertools.count(2)

# The client is typed in part only: here it is used as its users do, by name.
client: Any = kubernetes_client
watch: Any = kubernetes_watch


def address() -> str:
    """A loopback address that no other test uses."""
    return f"127.80.{os.getpid() % 250 + 1}.{next(_numbers)}"


async def eventually(holds: Callable[[], bool | Awaitable[bool]], within: float = 90.0) -> None:
    """Wait for a condition, under a bound."""
    async with asyncio.timeout(within):
        while True:
            found = holds()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.01)


class Bench:
    """What a test does with one cluster: boots it as cloud-init does, and looks at it as a watcher does."""

    def __init__(self, clusters: Clusters, where: str) -> None:
        self.clusters = clusters
        self.address = where
        self._clients: list[Any] = []

    async def boot(self, sovereign: str = "acme_omani_works", scenario: Scenario = HAPPY) -> LightCluster:
        self.clusters.set_scenario(sovereign, scenario)
        cluster = self.clusters.create(sovereign)
        await cluster.start(address=self.address, san=[])
        cluster.join("acme-omani-works-cp1", "10.0.1.10", "control-plane")
        cluster.join("acme-omani-works-w1", "10.0.1.20", "worker")
        await cluster.apply(
            list(yaml.safe_load_all((REPOSITORY / "tests/integration/sandbox_cluster/boot.yaml").read_text()))
        )
        return cluster

    async def install_flux(self, cluster: LightCluster) -> None:
        await cluster.install_release("bp-flux", "flux-system")
        await eventually(lambda: cluster.model.running("helm-controller"))
        await cluster.apply(list(yaml.safe_load_all(WATCHER.read_text())))

    async def hand_kit_to_flux(self, cluster: LightCluster) -> None:
        kit = (REPOSITORY / "tests/integration/sandbox_cluster/kit.yaml").read_text()
        await cluster.apply(list(yaml.safe_load_all(kit)))

    def client(self, cluster: LightCluster, token: str, ca: Path) -> Any:
        configuration = client.Configuration()
        configuration.host = f"https://{self.address}:{API_PORT}"
        configuration.ssl_ca_cert = str(ca)
        configuration.api_key = {"authorization": f"Bearer {token}"}
        api = client.ApiClient(configuration)
        self._clients.append(api)
        return api

    def watcher(self, cluster: LightCluster, directory: Path) -> Any:
        ca = directory / "ca.pem"
        ca.write_text(cluster.kubeconfig_ca())
        return self.client(cluster, cluster.token_for("catalyst-zero", "watcher"), ca)

    async def close(self) -> None:
        for each in self._clients:
            await each.close()
        await self.clusters.stop()


Running = tuple[Bench, LightCluster, Any]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(build_clusters(tmp_path / "sandbox", KIT, pace=0.05), address())
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def running(bench: Bench, tmp_path: Path) -> Running:
    """A cluster with Flux and the kit handed over, and the watcher's client."""
    cluster = await bench.boot()
    await bench.install_flux(cluster)
    await bench.hand_kit_to_flux(cluster)
    return bench, cluster, bench.watcher(cluster, tmp_path)


def conditions(item: dict[str, Any]) -> dict[str, tuple[str, str]]:
    listed = (item.get("status") or {}).get("conditions") or []
    return {found["type"]: (found["status"], found["reason"]) for found in listed}
