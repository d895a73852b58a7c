"""The life cycle of a Sovereign as one pure function.

``next_facts(history)`` says which ``sovereign.*`` facts follow from what is known now. It is asked after every
milestone, and its answer is the same for every order of events that is consistent with causation: it looks at what
holds, never at what came last. Of a pair of opposite facts the later by stream sequence holds.
"""

from dataclasses import dataclass
from typing import Any, Literal

from contracts.dns import DnsDelegated, DnsFailed, DnsPublished, DnsRefused, DnsReleased
from contracts.errors import Trouble, trouble
from contracts.event import About, Event, Fact
from contracts.flux import FluxConverged, FluxDiverged, FluxReleased, ProbeFailed, ProbePassed
from contracts.history import History, Recorded
from contracts.identity import fqdn_of
from contracts.sovereign import (
    SovereignCancelled,
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignDegraded,
    SovereignFailed,
    SovereignHandedOver,
    SovereignReady,
    SovereignRequested,
    Url,
)
from contracts.tofu import TofuApplied, TofuDestroyed, TofuFailed, TofuInterrupted, TofuStarted

Stage = Literal[
    "none",
    "running",
    "cancelling",
    "failed",
    "cancelled",
    "ready",
    "degraded",
    "handed-over",
    "decommissioning",
    "decommissioned",
]


@dataclass(frozen=True)
class Standing:
    """Where a Sovereign stands in its life."""

    stage: Stage
    life: int
    run: int

    @property
    def active(self) -> bool:
        """Whether a run is under way."""
        return self.stage in {"running", "cancelling"}


def standing(history: History) -> Standing:
    """Read the stage from the facts of the current life and run."""
    run = history.run
    return Standing(_stage(history), history.life, run)


def _stage(history: History) -> Stage:
    asked = history.last(SovereignRequested)
    if asked is None:
        return "none"
    if history.last(SovereignDecommissioned):
        return "decommissioned"
    if history.last(SovereignDecommissionRequested):
        return "decommissioning"
    return _stage_of_run(history, asked.event.run)


def _stage_of_run(history: History, run: int) -> Stage:
    if history.last(SovereignReady, run=run):
        if history.later(SovereignDegraded, SovereignReady, run=run):
            return "degraded"
        return "handed-over" if history.last(SovereignHandedOver) else "ready"
    ends: tuple[tuple[type[Fact], Stage], ...] = (
        (SovereignFailed, "failed"),
        (SovereignCancelled, "cancelled"),
        (SovereignCancelRequested, "cancelling"),
    )
    return next((stage for fact, stage in ends if history.last(fact, run=run)), "running")


def next_facts(history: History) -> list[Fact]:
    """What follows now. Said once: a fact that holds already is not said again."""
    match standing(history).stage:
        case "decommissioning":
            return _decommissioned(history)
        case "cancelling":
            return _stopped(history)
        case "running":
            return _failed(history) or _ready(history)
        case "ready":
            return _degraded(history) or _handed_over(history)
        case "degraded":
            return _ready(history)
        case _:
            return []


def _decommissioned(history: History) -> list[Fact]:
    """Only a decommission releases the name, so that a later command which brings a token changes nothing about it."""
    released = history.last(DnsReleased)
    return [SovereignDecommissioned(cause=released.event.id)] if released else []


def leaves_for_good(history: History) -> bool:
    """Whether the life that ends, or has ended, is followed by none of the same cluster."""
    asked = history.data(SovereignDecommissionRequested)
    return asked is None or not asked.reprovision


def next_life(history: History) -> tuple[SovereignRequested, About] | None:
    """The request that opens the next life of a Sovereign that is reprovisioned; None when none follows.

    It is the last one of the life that ended, under the same owner: nobody else can have had the name in between.
    """
    asked, ended = history.last(SovereignRequested), history.last(SovereignDecommissioned)
    command = history.last(SovereignDecommissionRequested)
    if asked is None or ended is None or command is None or leaves_for_good(history):
        return None
    about = command.event.about.model_copy(update={"life": history.life + 1, "run": history.run + 1})
    changes = {"kind": "new", "request_id": command.event.id, "secrets": command.event.data.secrets}
    return asked.event.data.model_copy(update=changes), about


def _stopped(history: History) -> list[Fact]:
    """Only after every service that had begun said that it stopped: cancelled, or failed by the request's deadline."""
    run = history.run
    asked = history.last(SovereignCancelRequested, run=run)
    if asked is None:
        return []
    begun = history.last(TofuStarted, run=run)
    cause = asked
    if begun is not None:
        ends = (TofuInterrupted, TofuApplied, TofuFailed, TofuDestroyed)
        ended = [end for fact in ends if (end := history.last(fact, run=run)) and end.sequence > begun.sequence]
        if not ended:
            return []
        cause = ended[0]
    if asked.event.data.deadline:
        why = _too_late(history)
        return [SovereignFailed(cause=cause.event.id, trouble=why, cloud_touched=touched(history))]
    return [SovereignCancelled(cause=cause.event.id)]


def _too_late(history: History) -> Trouble:
    fqdn = fqdn_of(history.sovereign)
    return trouble("run-deadline", attempted="bring the Sovereign up before the deadline", on=fqdn)


def _failed(history: History) -> list[Fact]:
    cause = _failure(history)
    if cause is None:
        return []
    event, why = cause
    return [SovereignFailed(cause=event.id, trouble=why, cloud_touched=touched(history))]


def touched(history: History) -> bool:
    """Whether anything of this life may exist in the cloud.

    A start of work without any outcome counts: a runner that died has not said what it made.
    """
    if history.last(TofuApplied) is not None or _resources(history) > 0:
        return True
    begun = history.last(TofuStarted)
    ends = [history.last(end) for end in (TofuFailed, TofuInterrupted)]
    return begun is not None and not any(end is not None and end.sequence > begun.sequence for end in ends)


def _failure(history: History) -> tuple[Event[Any], Trouble] | None:
    run = history.run
    for fact in (DnsRefused, TofuFailed):
        if (found := history.last(fact, run=run)) is not None and not _superseded(history, found):
            return found.event, found.event.data.trouble
    broken = history.later(DnsFailed, DnsDelegated, run=run)
    if broken is not None and not broken.event.data.trouble.retryable:
        return broken.event, broken.event.data.trouble
    stopped = history.later(TofuInterrupted, TofuStarted, run=run)
    if stopped is not None and stopped.event.data.why == "deadline":
        return stopped.event, _too_late(history)
    return None


def _superseded(history: History, failure: Recorded) -> bool:
    """A later start of work in the same run takes a failure back (another attempt is under way or has succeeded)."""
    begun = history.last(TofuStarted, run=failure.event.run)
    return begun is not None and begun.sequence > failure.sequence


def _resources(history: History) -> int:
    failed, interrupted = history.data(TofuFailed), history.data(TofuInterrupted)
    return max(failed.resources if failed else 0, interrupted.resources if interrupted else 0)


def _ready(history: History) -> list[Fact]:
    """Applied, published, delegated, converged and probed hold at once, all in this run.

    After hand-off nobody watches the cluster any more: a later run is ready when it is applied, resolves and answers.
    """
    run = history.run
    applied = history.last(TofuApplied, run=run)
    published = history.last(DnsPublished, run=run)
    delegated = history.later(DnsDelegated, DnsFailed, run=run)
    probed = history.later(ProbePassed, ProbeFailed, run=run)
    if applied is None or published is None or delegated is None or probed is None:
        return []
    handed_over = history.last(SovereignHandedOver) is not None
    if not handed_over and history.later(FluxConverged, FluxDiverged, run=run) is None:
        return []
    if (gone := history.last(FluxReleased)) is not None and not handed_over and gone.event.run == run:
        return []
    degraded = history.later(SovereignDegraded, SovereignReady, run=run)
    fqdn = fqdn_of(history.sovereign)
    urls = tuple(Url(name=name, url=f"https://{name}.{fqdn}") for name in ("console", "gitea", "admin"))
    return [SovereignReady(urls=urls, replaces=degraded.event.id if degraded else None)]


def _degraded(history: History) -> list[Fact]:
    """Before hand-off: what made it ready no longer holds."""
    run = history.run
    for fact, opposite in ((FluxDiverged, FluxConverged), (ProbeFailed, ProbePassed)):
        found = history.later(fact, opposite, run=run)
        if found is not None:
            return [SovereignDegraded(cause=found.event.id, trouble=found.event.data.trouble)]
    return []


def _handed_over(history: History) -> list[Fact]:
    ready = history.last(SovereignReady, run=history.run)
    released = history.last(FluxReleased)
    if ready is None or released is None or released.sequence < ready.sequence or history.last(SovereignHandedOver):
        return []
    return [SovereignHandedOver()]
