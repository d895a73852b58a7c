"""What simulated servers need of the rest of the sandbox."""

from __future__ import annotations

from typing import Any, Protocol

Document = dict[str, Any]


class Cluster(Protocol):
    """A light cluster, as k3s and kubectl of a simulated server use it."""

    @property
    def api_healthy(self) -> bool:
        """Whether the API answers at this moment."""

    async def start(self, *, address: str, san: list[str]) -> None:
        """Serve the API on port 6443 of this address, with a certificate for these names and addresses."""

    async def stop(self) -> None:
        """Serve nothing any more."""

    async def listen(self, address: str) -> None:
        """Open the Sovereign's front door (its node ports) at one more node's address."""

    def join(self, node_name: str, address: str, role: str) -> None:
        """A node is there."""

    def kubeconfig_ca(self) -> str:
        """The certificate that the API's own is checked against, as PEM."""

    async def apply(self, documents: list[Document]) -> list[str]:
        """Bring these objects into being; what was done to each."""

    def get(self, kind: str, namespace: str | None, name: str | None) -> list[Document]:
        """The objects of this kind, namespace and name."""

    def token_for(self, namespace: str, service_account: str) -> str:
        """A bearer token of a ServiceAccount."""


class Clusters(Protocol):
    """The light clusters of the sandbox, one per Sovereign."""

    def create(self, sovereign: str) -> Cluster:
        """A cluster for the Sovereign of this id, not started yet."""

    async def remove(self, sovereign: str) -> None:
        """Stop and forget it."""
