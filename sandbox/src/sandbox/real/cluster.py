"""A real cluster: a real Kubernetes control plane that knows the kinds of Flux; only the kubelets are simulated.

One unit of processes on loopback below one directory.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.real.kube import Json, Kube
from sandbox.real.plane import STORAGE_CLASS, ControlPlane
from sandbox.real.programs import Programs

API_PORT: Final = 6443
_SERVED_WITHIN_S: Final = 60.0
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RealCluster:
    """One cluster of real programs."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self.programs = programs
        self.directory = directory
        self._plane: ControlPlane | None = None

    @property
    def plane(self) -> ControlPlane:
        """Its control plane."""
        if self._plane is None:
            raise RuntimeError("the cluster is not started")
        return self._plane

    @property
    def api(self) -> Kube:
        """Calls as its administrator."""
        return self.plane.api

    async def start(self, *, address: str, san: list[str], port: int = API_PORT) -> None:
        """Bring up the control plane."""
        self._plane = ControlPlane(self.programs, self.directory, address=address, port=port, names=san)
        await self._plane.start()

    async def stop(self) -> None:
        """End everything; the directory stays for whoever wants to read the logs."""
        if self._plane:
            await self._plane.stop()

    async def serve_flux_kinds(self) -> None:
        """The definitions of Flux's kinds, as the controllers' own releases carry them."""
        await self.define(documents(self.programs.flux_crds()))

    async def define(self, definitions: Iterable[Json]) -> None:
        """Apply custom resource definitions, and wait until each kind of them is served."""
        applied = list(definitions)
        await self.apply(applied)
        for spec in (definition["spec"] for definition in applied):
            for version in (each["name"] for each in spec["versions"] if each["served"]):
                await self.api.until_served(f"{spec['group']}/{version}", spec["names"]["kind"], _SERVED_WITHIN_S)

    async def apply(self, items: Iterable[Json]) -> None:
        """Server-side apply, in the order given."""
        for item in items:
            await self.api.apply(item)

    async def join(self, name: str, address: str, role: str) -> None:
        """A node is there; KWOK says from now on that it is well."""
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        if role == "control-plane":
            labels["node-role.kubernetes.io/control-plane"] = "true"
        await self.api.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "simulated"}},
            }
        )
        addresses = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
        await self.api.call(
            "PATCH",
            f"/api/v1/nodes/{name}/status",
            {"status": {"addresses": addresses}},
            content_type="application/merge-patch+json",
        )

    async def give_storage(self) -> None:
        """A default StorageClass, whose volumes KWOK plays."""
        await self.api.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {
                    "name": STORAGE_CLASS,
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "kwok.x-k8s.io/volume",
                "reclaimPolicy": "Delete",
                "volumeBindingMode": "Immediate",
            }
        )

    async def token_of(self, namespace: str, secret: str) -> str:
        """The token that the token controller puts into a Secret; empty until it has."""
        found = await self.api.get("v1", "Secret", secret, namespace)
        return base64.b64decode(((found or {}).get("data") or {}).get("token", "")).decode()

    def kubeconfig_ca(self) -> str:
        """The CA that signed the API's certificate, as PEM."""
        return self.plane.authority.pem


def documents(paths: Iterable[Path]) -> list[Any]:
    """Every document of these files."""
    return [document for path in paths for document in yaml.load_all(path.read_text(), Loader=_LOADER) if document]
