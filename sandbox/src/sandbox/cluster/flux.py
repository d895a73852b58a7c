"""Flux in one simulated cluster: starts reconciliations when objects ask, and plays the faults that come later.

A controller works only while its Deployment is available, and only on kinds whose CRDs are there, so a
cluster in which Flux is not installed, or no longer, has objects that nobody moves.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from sandbox.cluster.agenda import Sequence
from sandbox.cluster.conditions import is_ready, is_stalled
from sandbox.cluster.kustomizations import Kustomizations
from sandbox.cluster.model import FLUX_NAMESPACE, REQUESTED_AT, Model
from sandbox.cluster.objects import (
    DEPLOYMENT,
    FLUX_KINDS,
    HELM_RELEASE,
    KUSTOMIZATION,
    NODE,
    Json,
    Kind,
    key_of,
)
from sandbox.cluster.releases import Releases
from sandbox.cluster.scenario import Fault
from sandbox.cluster.sources import Sources, artifact_revision
from sandbox.cluster.store import Change
from sandbox.cluster.workloads import Workloads

_AFTER_READY: Final = ("release-degrades", "workload-degrades", "release-deleted")
Reconcile = Callable[[Kind, str, str], Sequence]


class Flux:
    """The GitOps engine of one cluster."""

    def __init__(self, model: Model, workloads: Workloads) -> None:
        self._model = model
        self._workloads = workloads
        self._releases = Releases(model, workloads)
        sources = Sources(model).reconcile
        self._by_kind: dict[Kind, Reconcile] = dict.fromkeys(FLUX_KINDS, sources)
        self._by_kind[KUSTOMIZATION] = Kustomizations(model).reconcile
        self._by_kind[HELM_RELEASE] = self._releases.reconcile
        model.store.listen(self._hear)

    def _hear(self, change: Change) -> None:
        if change.kind in self._by_kind:
            self._hear_flux(change)
        elif change.kind == DEPLOYMENT and change.item["metadata"]["namespace"] == FLUX_NAMESPACE:
            self._model.stir()

    def _hear_flux(self, change: Change) -> None:
        key: Hashable = (change.kind, key_of(change.item))
        if change.type == "DELETED":
            self._model.agenda.stop(key)
            self._model.stir()
        elif change.before is None or _asks(change.before) != _asks(change.item):
            reconcile = self._by_kind[change.kind]
            self._model.agenda.start(key, reconcile(change.kind, *key_of(change.item)))
        if change.before is not None and _outcome(change.before) != _outcome(change.item):
            self._model.stir()
            if change.kind == HELM_RELEASE and is_ready(change.item) and not is_ready(change.before):
                self._ready_for_trouble(change.item["metadata"]["name"])

    def _ready_for_trouble(self, component: str) -> None:
        """Begin the faults that wait for a component to be ready."""
        for what in _AFTER_READY:
            if fault := self._model.faults.take(what, component):
                self.play(fault)

    def play(self, fault: Fault) -> None:
        """Begin a fault that has a time of its own."""
        if fault.what == "node-lost":
            self._model.agenda.start(("fault", fault), self._lose_node(fault))
        elif fault.what == "release-deleted":
            self._model.agenda.start(("fault", fault), self._delete(fault))
        elif fault.what in _AFTER_READY:
            self._model.agenda.start(("fault", fault), self._degrade(fault))

    def _degrade(self, fault: Fault) -> Sequence:
        yield fault.after_s
        key = (FLUX_NAMESPACE, fault.component)
        self._workloads.crash(fault.component)
        if fault.what == "release-degrades":
            self._releases.degrade(key)
        yield fault.lasts_s
        self._workloads.recover(fault.component)
        if fault.what == "release-degrades":
            self._releases.restore(key)

    def _delete(self, fault: Fault) -> Sequence:
        """Somebody deletes a release; its Kustomization puts it back at its next interval."""
        yield fault.after_s
        if self._model.store.get(HELM_RELEASE, FLUX_NAMESPACE, fault.component) is not None:
            self._model.store.delete(HELM_RELEASE, FLUX_NAMESPACE, fault.component)
        yield fault.lasts_s
        owner = (KUSTOMIZATION, (FLUX_NAMESPACE, fault.component))
        if self._model.store.get(KUSTOMIZATION, *owner[1]) is not None:
            self._model.agenda.start(owner, self._by_kind[KUSTOMIZATION](KUSTOMIZATION, *owner[1]))

    def _lose_node(self, fault: Fault) -> Sequence:
        """The last node (a worker where there is one) stops reporting, then is back."""
        yield fault.after_s
        nodes = self._model.store.select(NODE)
        control = "node-role.kubernetes.io/control-plane"
        nodes.sort(key=lambda node: control not in node["metadata"]["labels"])
        if not nodes:
            return
        name = nodes[-1]["metadata"]["name"]
        self._workloads.node_state(name, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
        self._model.stir()
        yield fault.lasts_s
        self._workloads.node_state(name, "True", "KubeletReady", "kubelet is posting ready status (simulated)")
        self._model.stir()


def _asks(item: Json) -> tuple[object, ...]:
    """What makes a controller reconcile an object anew when it changes."""
    metadata = item["metadata"]
    annotations = metadata.get("annotations") or {}
    return metadata["generation"], annotations.get(REQUESTED_AT), metadata.get("deletionTimestamp")


def _outcome(item: Json) -> tuple[object, ...]:
    """What others wait for."""
    return is_ready(item), is_stalled(item), artifact_revision(item)
