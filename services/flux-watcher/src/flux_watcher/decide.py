"""What state an object is in: one function per kind, pure, total over whatever a status may hold.

Compatible with kstatus and stricter where Flux means more: generations are compared, suspended is never ready, a
release whose install failed but will be tried again is *retrying* and not failed, one that is checked again while it
is ready stays ready, and a custom resource without conditions is pending (kstatus would call it current). Conditions
decide, not the API version that they were read at: an old version read from a new controller carries new conditions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from flux_watcher.objects import Condition, Seen

State = Literal["pending", "working", "ready", "blocked", "retrying", "failed", "suspended", "gone"]

WAITS: Final = frozenset({"DependencyNotReady", "SourceNotReady", "HelmChartNotReady", "ArtifactFailed"})
"""Ready=False, and yet only waiting for something else."""
NEEDS_A_PERSON: Final = frozenset({"AccessDenied", "InvalidCELExpression", "FeatureGateDisabled"})
"""Ready=False, and no retry will change it."""
MOVES: Final = frozenset({"Progressing", "AwaitingTests", "HealthCheckCanceled"})
"""Ready is not True, and the work is under way."""
REMEDIATED: Final = frozenset({"UninstallSucceeded", "RollbackSucceeded"})
"""The failed attempt was taken back; another may follow."""
EXHAUSTED: Final = "retries exhausted"
"""How controllers before Stalled existed said that they had given up."""
APPLIED: Final = "ReconciliationSucceeded"
"""A Kustomization's reason for being ready."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of one object and what it rests on."""

    state: State
    reason: str = ""
    message: str = ""
    since: datetime | None = None

    @property
    def ready(self) -> bool:
        """Whether it is ready."""
        return self.state == "ready"


def decide(seen: Seen) -> Verdict:
    """The state of any watched object."""
    if seen.deleting:
        return Verdict("gone", "Terminating")
    return _BY_KIND.get(seen.kind, _flux_object)(seen)


def occurrence(seen: Seen, verdict: Verdict) -> str:
    """Names this very change: the same for every reader, however often it is read (design rule 4)."""
    if verdict.state == "gone":
        return f"{seen.uid}/gone"
    since = verdict.since.isoformat() if verdict.since else ""
    return f"{seen.uid}/{seen.generation}/{verdict.state}/{since or seen.mark}/{seen.revision}"


def _by(state: State, condition: Condition) -> Verdict:
    return Verdict(state, condition.reason, condition.message, condition.since)


def _true(seen: Seen, kind: str) -> Condition | None:
    """The condition if it is True and does not speak of an older generation."""
    found = seen.condition(kind)
    if found is None or found.status != "True" or _outdated(seen, found):
        return None
    return found


def _outdated(seen: Seen, condition: Condition) -> bool:
    return condition.generation is not None and condition.generation < seen.generation


def _flux_object(seen: Seen) -> Verdict:
    ready = seen.condition("Ready")
    if seen.suspended:
        return Verdict("suspended", "Suspended", "spec.suspend is true", ready.since if ready else None)
    if stalled := _true(seen, "Stalled"):
        return _by("failed", stalled)
    reconciling = _true(seen, "Reconciling")
    if ready is None:
        return _unconditioned(seen, reconciling)
    return _by_ready(seen, ready, reconciling)


def _unconditioned(seen: Seen, reconciling: Condition | None) -> Verdict:
    if seen.static and not seen.conditions:
        return Verdict("ready", "Static")
    return _by("working", reconciling) if reconciling else Verdict("pending", "NotSeenByController")


def _by_ready(seen: Seen, ready: Condition, reconciling: Condition | None) -> Verdict:
    if _outdated(seen, ready):
        return Verdict("working", "NewGeneration", "the controller has not yet seen the latest change", ready.since)
    if ready.status == "True":
        return _ready(seen, ready)
    if ready.status == "False":
        return _not_ready(ready, reconciling)
    return _by("working", ready)


def _ready(seen: Seen, ready: Condition) -> Verdict:
    """Ready=True counts for the generation that the controller finished; a re-check in between changes nothing."""
    if seen.observed != seen.generation:
        return Verdict("working", "NewGeneration", "the controller has not yet seen the latest change", ready.since)
    return _by("ready", ready)


def _not_ready(ready: Condition, reconciling: Condition | None) -> Verdict:
    if ready.reason in NEEDS_A_PERSON or EXHAUSTED in ready.message:
        return _by("failed", ready)
    if ready.reason in WAITS:
        return _by("blocked", ready)
    if ready.reason in MOVES and (reconciling is None or reconciling.reason != "ProgressingWithRetry"):
        return _by("working", ready)
    return _by("retrying", ready)


def _source(seen: Seen) -> Verdict:
    """Sources: one that cannot be fetched is tried again; an older artifact does not make it ready."""
    verdict = _flux_object(seen)
    if verdict.state == "blocked" and verdict.reason == "ArtifactFailed":
        return Verdict("retrying", verdict.reason, verdict.message, verdict.since)
    fetch = _true(seen, "FetchFailed")
    if fetch and verdict.state not in {"failed", "suspended"}:
        return _by("retrying", fetch)
    return verdict


def _kustomization(seen: Seen) -> Verdict:
    """Checked again, it says Ready=Unknown meanwhile: it stays what its last check of this revision made it.

    Its Ready condition changes at each check, so the time of that tells nothing of a ready one.
    """
    verdict = _flux_object(seen)
    if verdict.state == "ready":
        return Verdict("ready", verdict.reason, verdict.message)
    if verdict.state != "working" or not seen.last:
        return verdict
    if seen.last != APPLIED:
        return Verdict("retrying", seen.last, verdict.message)
    return Verdict("ready", APPLIED) if seen.observed == seen.generation else verdict


def _deployment(seen: Seen) -> Verdict:
    progressing, available = seen.condition("Progressing"), seen.condition("Available")
    since = available.since if available else None
    if seen.observed < seen.generation:
        return Verdict("working", "NewGeneration", "", since)
    if seen.available >= seen.desired:
        return Verdict("ready", available.reason if available else "Available", "", since)
    if progressing and progressing.status == "False":
        return _by("retrying", progressing)
    return Verdict("working", "Unavailable", f"{seen.available} of {seen.desired} available", since)


def _replicated(seen: Seen) -> Verdict:
    if seen.observed < seen.generation:
        return Verdict("working", "NewGeneration")
    if seen.available >= seen.desired:
        return Verdict("ready", "Available")
    return Verdict("working", "Unavailable", f"{seen.available} of {seen.desired} available")


def _node(seen: Seen) -> Verdict:
    ready = seen.condition("Ready")
    if ready is None:
        return Verdict("pending", "NotReported")
    if ready.status == "True":
        return _by("ready", ready)
    return _by("failed" if ready.status == "Unknown" else "retrying", ready)


_BY_KIND: Final[dict[str, Callable[[Seen], Verdict]]] = {
    "GitRepository": _source,
    "OCIRepository": _source,
    "HelmRepository": _source,
    "HelmChart": _source,
    "Kustomization": _kustomization,
    "HelmRelease": _flux_object,
    "Deployment": _deployment,
    "StatefulSet": _replicated,
    "DaemonSet": _replicated,
    "Node": _node,
}
