"""The clusters of the sandbox, by Sovereign, and what they share: the kit, the root certificate, the pace."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sandbox.cluster.kit import Kit
from sandbox.cluster.light import LightCluster
from sandbox.cluster.scenario import HAPPY, Fault, Scenario
from sandbox.cluster.tls import Authority, small_buffers

ROOT_NAME: Final = "Sandbox root (simulated, stands in for Let's Encrypt)"


class Clusters:
    """Every light cluster of one sandbox."""

    def __init__(self, directory: Path, kit: Kit, root: Authority, pace: float) -> None:
        self._directory = directory
        self._kit = kit
        self._root = root
        self._pace = pace
        self._clusters: dict[str, LightCluster] = {}
        self._scenarios: dict[str, Scenario] = {}

    def create(self, sovereign: str) -> LightCluster:
        """A new cluster for the Sovereign, not started yet; one that was there is forgotten."""
        cluster = LightCluster(
            sovereign,
            directory=self._directory / "clusters" / sovereign,
            kit=self._kit,
            root=self._root,
            pace=self._pace,
            scenario=self._scenarios.get(sovereign, HAPPY),
        )
        self._clusters[sovereign] = cluster
        return cluster

    def get(self, sovereign: str) -> LightCluster | None:
        """The Sovereign's cluster."""
        return self._clusters.get(sovereign)

    async def remove(self, sovereign: str) -> None:
        """Stop and forget a cluster."""
        if cluster := self._clusters.pop(sovereign, None):
            await cluster.stop()

    async def stop(self) -> None:
        """Stop every cluster."""
        for sovereign in list(self._clusters):
            await self.remove(sovereign)

    def set_scenario(self, sovereign: str, scenario: Scenario) -> None:
        """What the Sovereign's next cluster goes through; one that runs gets the faults as well."""
        self._scenarios[sovereign] = scenario
        if cluster := self._clusters.get(sovereign):
            for fault in scenario.faults:
                cluster.play(fault)

    def play(self, sovereign: str, fault: Fault) -> bool:
        """Begin one fault in a running cluster; false when there is none."""
        cluster = self._clusters.get(sovereign)
        if cluster is not None:
            cluster.play(fault)
        return cluster is not None

    def happened(self, sovereign: str) -> dict[str, int]:
        """Which faults occurred in the Sovereign's cluster, and how often."""
        cluster = self._clusters.get(sovereign)
        return dict(cluster.faults.happened) if cluster else {}

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the kit's components: what a fault may speak of."""
        return tuple(self._kit.components)

    @property
    def root_ca(self) -> str:
        """The root that signs the front doors' certificates, as PEM."""
        return self._root.pem


def build_clusters(directory: Path, kit_directory: Path, pace: float = 1.0) -> Clusters:
    """The clusters of a sandbox that keeps its files in a directory, with the kit of `<checkout>/deploy/kit`.

    A pace of 1 installs the whole kit in about twelve seconds; half the pace, half the time.
    """
    small_buffers()
    directory.mkdir(parents=True, exist_ok=True)
    root = Authority.kept(directory / "root-ca.key", ROOT_NAME)
    (directory / "root-ca.pem").write_text(root.pem)
    return Clusters(directory, Kit(kit_directory), root, pace)
