"""What the simulated controllers of one cluster share: its objects, its clock, its faults, and who waits for whom."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from sandbox.cluster.agenda import Agenda, Sequence
from sandbox.cluster.kit import Kit
from sandbox.cluster.logs import Logs
from sandbox.cluster.objects import DEPLOYMENT, EVENT, NAMESPACE, Json, Key, Kind, key_of, timestamp
from sandbox.cluster.scenario import Faults
from sandbox.cluster.store import Store

FLUX_NAMESPACE: Final = "flux-system"
COMPONENT_LABEL: Final = "helm.toolkit.fluxcd.io/name"
REQUESTED_AT: Final = "reconcile.fluxcd.io/requestedAt"
RESET_AT: Final = "reconcile.fluxcd.io/resetAt"
_EVENTS_KEPT: Final = 150
_PATIENCE_S: Final = 30.0


@dataclass
class Model:
    """One cluster, as its controllers see it."""

    store: Store
    agenda: Agenda
    kit: Kit
    faults: Faults
    logs: Logs = field(default_factory=Logs)
    blocked: set[Hashable] = field(default_factory=set)
    _events: deque[Key] = field(default_factory=deque)

    def until(self, key: Hashable, holds: Callable[[], bool], within: float | None = None) -> Sequence:
        """Wait until it holds (it is looked at again whenever anything becomes ready or not), at most that long."""
        waited = 0.0
        while not holds() and (within is None or waited < within):
            self.blocked.add(key)
            step = _PATIENCE_S if within is None else 0.5
            yield step
            waited += step
            self.blocked.discard(key)

    def stir(self) -> None:
        """Let everybody who waits look again."""
        waiting, self.blocked = self.blocked, set()
        for key in waiting:
            self.agenda.hurry(key)

    def running(self, controller: str) -> bool:
        """Whether a controller of Flux is up."""
        found = self.store.get(DEPLOYMENT, FLUX_NAMESPACE, controller)
        return found is not None and bool((found.get("status") or {}).get("availableReplicas"))

    def event(self, about: Json, reason: str, message: str, *, source: str, warning: bool = False) -> None:
        """Record an Event about an object; old ones go."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        if self.store.get(NAMESPACE, "", namespace) is None:
            return
        now = timestamp()
        item: Json = {
            "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": {
                "kind": about["kind"],
                "apiVersion": about["apiVersion"],
                "namespace": metadata.get("namespace", ""),
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message,
            "source": {"component": source},
            "reportingComponent": source,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self.store.create(EVENT, item)
        self._events.append(key_of(item))
        while len(self._events) > _EVENTS_KEPT:
            oldest = self._events.popleft()
            if self.store.get(EVENT, *oldest) is not None:
                self.store.delete(EVENT, *oldest)

    def ensure(self, kind: Kind, item: Json) -> str:
        """Create the object, or lay it over the one that is there; says which, in kubectl's words."""
        before = self.store.get(kind, *key_of(item))
        if before is None:
            self.store.create(kind, item)
            return "created"
        kept = before["metadata"]
        metadata = {**kept, **item["metadata"]}
        for name in ("labels", "annotations"):
            if kept.get(name) or item["metadata"].get(name):
                metadata[name] = {**(kept.get(name) or {}), **(item["metadata"].get(name) or {})}
        status = {"status": before["status"]} if "status" in before else {}
        rest = {name: value for name, value in before.items() if name not in {"spec", "status"}}
        merged = {**rest, **item, **status, "metadata": metadata}
        # What a controller or an admin set in the spec and the manifest does not name stays, at the first level.
        if isinstance(before.get("spec"), dict) and isinstance(item.get("spec"), dict):
            merged["spec"] = {**before["spec"], **item["spec"]}
        return "unchanged" if self.store.replace(kind, merged) is before else "configured"
