"""A real Kubernetes API in the state in which a Sovereign's first minutes leave it."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from sandbox.real import Programs, RealCluster
from sandbox.real.cluster import API_PORT, documents
from tests.integration.sandbox_cluster.conftest import WATCHER, address, eventually

NODES = (("acme-omani-works-cp1", "10.0.1.10", "control-plane"), ("acme-omani-works-w1", "10.0.1.20", "worker"))


class Ground:
    """One real cluster and what a test does with it."""

    def __init__(self, cluster: RealCluster, where: str) -> None:
        self.cluster = cluster
        self.address = where
        self.token = ""

    @property
    def server(self) -> str:
        return f"https://{self.address}:{API_PORT}"

    async def boot(self) -> None:
        """API, nodes, storage, the kinds of Flux, and the watcher's account with its token."""
        await self.boot_bare()
        await self.cluster.give_storage()
        await self.cluster.serve_flux_kinds()

    async def boot_bare(self) -> None:
        """API, nodes, and the watcher's account with its token."""
        cluster = self.cluster
        await cluster.start(address=self.address, san=[])
        for node in NODES:
            await cluster.join(*node)
        await cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}])
        await cluster.apply(documents([WATCHER]))
        await eventually(self._has_token, 60)

    async def _has_token(self) -> bool:
        self.token = await self.cluster.token_of("catalyst-zero", "watcher-token")
        return bool(self.token)

    def kubeconfig(self) -> bytes:
        """What the node hands in."""
        ca = base64.b64encode(self.cluster.kubeconfig_ca().encode()).decode()
        cluster = {"server": self.server, "certificate-authority-data": ca}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "sovereign",
                "clusters": [{"name": "sovereign", "cluster": cluster}],
                "users": [{"name": "watcher", "user": {"token": self.token}}],
                "contexts": [{"name": "sovereign", "context": {"cluster": "sovereign", "user": "watcher"}}],
            }
        ).encode()


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    made = Ground(RealCluster(Programs.from_environment(os.environ), tmp_path / "real"), address())
    try:
        yield made
    finally:
        await made.cluster.stop()
