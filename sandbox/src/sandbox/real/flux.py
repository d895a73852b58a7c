"""Flux in a real cluster: its own three controllers as processes beside the control plane.

In a Sovereign they are pods. Here their Deployments exist too, with pods that KWOK says are well, since that is where a
watcher looks.
"""

from __future__ import annotations

from typing import Final

from sandbox.real.kube import Json
from sandbox.real.plane import LOOPBACK, ControlPlane, free_port
from sandbox.real.process import Process
from sandbox.real.programs import CONTROLLERS

NAMESPACE: Final = "flux-system"


class FluxControllers:
    """source-, kustomize- and helm-controller of one real cluster."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._processes = {name: self._make(name) for name in CONTROLLERS}

    async def start(self) -> None:
        """Run them; their kinds have to be served."""
        for name in CONTROLLERS:
            await self._plane.api.apply(_deployment(name))
            self._processes[name].start()

    async def stop(self) -> None:
        """End the processes."""
        for process in self._processes.values():
            await process.stop()

    def last_words(self) -> str:
        """The end of each log, for an error message."""
        return "\n".join(f"── {name}\n{process.last_words()}" for name, process in self._processes.items())

    def _make(self, name: str) -> Process:
        words = [
            "--events-addr=",
            "--metrics-addr=0",
            f"--health-addr={LOOPBACK}:{free_port()}",
            "--watch-all-namespaces=true",
            "--requeue-dependency=1s",
            "--concurrent=12",
            "--min-retry-delay=500ms",
            "--max-retry-delay=3s",
        ]
        if name == "source-controller":
            storage = f"{LOOPBACK}:{free_port()}"
            kept = self._plane.directory / "artifacts"
            kept.mkdir(parents=True, exist_ok=True)
            words += [f"--storage-path={kept}", f"--storage-addr={storage}", f"--storage-adv-addr={storage}"]
        return self._plane.process(name, *words, KUBECONFIG=str(self._plane.kubeconfig), RUNTIME_NAMESPACE=NAMESPACE)


def _deployment(name: str) -> Json:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "manager", "image": f"beside-the-cluster/{name}"}]},
            },
        },
    }
