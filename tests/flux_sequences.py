"""A small kit in which one thing after the other goes wrong, and the conditions that Flux's objects go through.

A sequence is the states of one object in the order in which they came first: how often a retry is made, and how long
it takes, is nobody's promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.small_kit import IN_PLACE, Part, remediated

FOLLOWED = ("GitRepository", "HelmRepository", "HelmChart", "Kustomization", "HelmRelease")

_ROLLED_BACK = {"remediation": {"retries": 1, "remediateLastFailure": True}}

BASE = Part("bp-base", upgrade=_ROLLED_BACK)
BROKEN = Part("bp-base", upgrade=_ROLLED_BACK, version="1.1.0")
"""The same at a version whose upgrade fails."""
NEXT = Part("bp-next", depends_on=("bp-base",))
VOLUME = Part("bp-volume", install=IN_PLACE, timeout="7s", volume="1Gi")
PATIENT = Part("bp-patient", install=IN_PLACE)
LOST = Part("bp-lost")
REFUSED = Part("bp-refused", install=remediated(1), tier="optional")
UNKNOWN = Part("bp-unknown", version="9.9.9", tier="optional")
PARTS = (BASE, NEXT, VOLUME, PATIENT, LOST, REFUSED, UNKNOWN)


ATTEMPTED = ("Ready=Unknown Progressing", "Released=False UpgradeFailed")
"""A release that is tried again in place for the second time: only now its trouble is mended."""


def state(item: Mapping[str, Any]) -> str:
    """An object's conditions in one line: Ready first, then the others by name."""
    listed = (item.get("status") or {}).get("conditions") or []
    found = sorted(listed, key=lambda each: (each["type"] != "Ready", each["type"]))
    return ", ".join(f"{each['type']}={each['status']} {each['reason']}" for each in found) or "none"


class Sequences:
    """What each object went through, by the scene that was played."""

    def __init__(self) -> None:
        self.scene = ""
        self._seen: dict[str, dict[str, list[str]]] = {}

    def hear(self, item: Mapping[str, Any]) -> None:
        """An object is there, or has changed."""
        name = item["metadata"]["name"].removeprefix("flux-system-")
        states = self._seen.setdefault(self.scene, {}).setdefault(f"{item['kind']}/{name}", [])
        if (now := state(item)) not in states:
            states.append(now)

    def of(self, scene: str) -> dict[str, list[str]]:
        """One scene's, in the order of their names."""
        return dict(sorted(self._seen.get(scene, {}).items()))

    def last(self, title: str) -> str:
        """The state that an object came to last in this scene; empty when it was not heard of."""
        return next(iter(self._seen.get(self.scene, {}).get(title, ())[-1:]), "")
