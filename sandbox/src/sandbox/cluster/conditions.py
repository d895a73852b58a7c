"""Conditions and statuses in the form that Flux's controllers and kstatus share.

`Reconciling` and `Stalled` exist only while they are true; a condition's transition time moves only when
its status does.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.cluster.objects import Json, timestamp

_ORDER = ("Reconciling", "Stalled", "Ready")


class Status:
    """A status under construction: starts from the object's present one, is written back as a whole."""

    def __init__(self, item: Json) -> None:
        self._generation: int = item["metadata"]["generation"]
        self.fields: Json = dict(item.get("status") or {})
        self._conditions: dict[str, Json] = {found["type"]: found for found in self.fields.get("conditions", ())}

    def mark(self, kind: str, status: str, reason: str, message: str) -> Status:
        """Set a condition."""
        before = self._conditions.get(kind)
        since = before["lastTransitionTime"] if before and before["status"] == status else timestamp()
        self._conditions[kind] = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": self._generation,
            "lastTransitionTime": since,
        }
        return self

    def reconciling(self, message: str, reason: str = "Progressing") -> Status:
        """Say that work is under way; that and `Stalled` exclude each other."""
        self._conditions.pop("Stalled", None)
        return self.mark("Reconciling", "True", reason, message)

    def progressing(self, message: str) -> Status:
        """Work is under way and the outcome unknown."""
        return self.reconciling(message).mark("Ready", "Unknown", "Progressing", message)

    def drop(self, *kinds: str) -> Status:
        """Remove conditions."""
        for kind in kinds:
            self._conditions.pop(kind, None)
        return self

    def settled(self) -> Status:
        """The present generation is dealt with (ready or stalled)."""
        self._conditions.pop("Reconciling", None)
        self.fields["observedGeneration"] = self._generation
        return self

    def build(self) -> Json:
        """The status to write."""
        rest = [found for kind, found in self._conditions.items() if kind not in _ORDER]
        ordered: Sequence[Json] = [
            *(self._conditions[kind] for kind in _ORDER if kind in self._conditions),
            *sorted(rest, key=lambda found: str(found["type"])),
        ]
        return {**self.fields, "conditions": list(ordered)}


def condition(item: Json | None, kind: str) -> Json | None:
    """One condition of an object."""
    for found in ((item or {}).get("status") or {}).get("conditions") or ():
        if found["type"] == kind:
            result: Json = found
            return result
    return None


def is_ready(item: Json | None) -> bool:
    """Whether the object is ready in its present generation."""
    ready = condition(item, "Ready")
    return (
        item is not None
        and ready is not None
        and ready["status"] == "True"
        and (item["status"].get("observedGeneration", -1) == item["metadata"]["generation"])
    )


def is_stalled(item: Json | None) -> bool:
    """Whether the object waits for a person."""
    return condition(item, "Stalled") is not None
