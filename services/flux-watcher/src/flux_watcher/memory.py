"""What was said in this run, read back from the stream, so that a restart, a takeover or a full relist repeats nothing.

A change is named by its occurrence. One that was said is never said again; a state that was not yet said of an object
in this run is said at once; one that was is damped, at most one fact per object in ten seconds, which then tells how
many changes lay between.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.event import Event, Fact
from contracts.flux import (
    FluxBootstrapped,
    FluxChanged,
    FluxConverged,
    FluxDiverged,
    FluxStalled,
    ProbeFailed,
    ProbePassed,
    ReleaseFact,
)
from contracts.history import History

DAMPING = timedelta(seconds=10)


@dataclass
class Told:
    """What was said of one object."""

    occurrences: set[str] = field(default_factory=set)
    states: set[str] = field(default_factory=set)
    last_state: str = ""
    last_occurrence: str = ""
    last_at: datetime | None = None
    seen: str = ""
    """The occurrence that was looked at last, said or not."""
    changes: int = 0
    """Changes since the last fact."""


@dataclass(frozen=True)
class Due:
    """Say it now (with the number of changes), or look again at a time, or neither."""

    now: bool = False
    changes: int = 0
    at: datetime | None = None


NOT_DUE = Due()


@dataclass
class Memory:
    """The facts of one run of one Sovereign, as far as they decide what is said next."""

    life: int
    run: int
    ids: set[UUID] = field(default_factory=set)
    told: dict[str, Told] = field(default_factory=dict)
    bootstrapped: bool = False
    appeared: bool = False
    """Whether a release was ever seen in this run."""
    converged: UUID | None = None
    """The converged fact that holds now."""
    diverged: UUID | None = None
    """The last diverged fact."""
    passed: UUID | None = None
    failed: UUID | None = None
    """The probe fact that holds now: at most one of both."""
    last_passed: UUID | None = None
    last_failed: UUID | None = None
    ever_converged: bool = False
    cluster_uid: str = ""
    """Which cluster it is; known over all runs of the life."""
    progress_at: datetime | None = None
    """When anything of this run came to a state that it had not been in before."""

    @classmethod
    def of(cls, history: History, *, run: int) -> "Memory":
        """What the stream says was said."""
        memory = cls(history.life, run)
        for item in history:
            if isinstance(item.event.data, FluxBootstrapped):
                memory.cluster_uid = item.event.data.cluster_uid or memory.cluster_uid
            if item.event.run == run:
                memory.add(item.event)
        return memory

    def add(self, event: Event[Any]) -> None:
        """Remember a fact."""
        self.ids.add(event.id)
        fact, moved = event.data, not isinstance(event.data, FluxStalled | ProbeFailed)
        if (told := told_of(fact)) is not None:
            moved = self._add_object(event.time, *told)
            self.appeared = self.appeared or isinstance(fact, ReleaseFact)
        elif isinstance(fact, FluxBootstrapped):
            self.bootstrapped = True
        elif isinstance(fact, FluxConverged):
            self.converged, self.ever_converged = event.id, True
        elif isinstance(fact, FluxDiverged):
            self.converged, self.diverged = None, event.id
        elif isinstance(fact, ProbePassed):
            self.passed, self.failed, self.last_passed = event.id, None, event.id
        elif isinstance(fact, ProbeFailed):
            self.passed, self.failed, self.last_failed = None, event.id, event.id
        elif not isinstance(fact, FluxStalled):
            return
        if moved:
            self.progress_at = max(self.progress_at or event.time, event.time)

    def _add_object(self, at: datetime, title: str, state: str, occurrence: str) -> bool:
        """Whether it moved: one that is tried again and again, and fails in between, stands still."""
        told = self.told.setdefault(title, Told())
        moved = state not in told.states
        told.occurrences.add(occurrence)
        told.states.add(state)
        told.last_state, told.last_occurrence, told.last_at = state, occurrence, at
        told.seen, told.changes = occurrence, 0
        return moved

    def due(
        self, title: str, state: str, occurrence: str, now: datetime, *, quiet: bool = False, timeless: bool = False
    ) -> Due:
        """Whether this state of an object is to be said.

        Of a quiet one only the change away from ready and back is. Where a status tells no time of its changes, only
        another state than the one said last is a change, or the same of another revision.
        """
        told = self.told.setdefault(title, Told())
        if occurrence != told.seen:
            told.seen = occurrence
            told.changes += 1
        if occurrence in told.occurrences:
            return NOT_DUE
        same = state == told.last_state and _revision(occurrence) == _revision(told.last_occurrence)
        if (quiet and state == (told.last_state or "ready")) or (timeless and same):
            return NOT_DUE
        if state not in told.states or told.last_at is None or now >= told.last_at + DAMPING:
            return Due(now=True, changes=max(told.changes, 1))
        return Due(at=told.last_at + DAMPING)


def _revision(occurrence: str) -> str:
    """The part that names what was attempted, or the end of it."""
    return occurrence.rpartition("/")[2]


def told_of(fact: Fact) -> tuple[str, str, str] | None:
    """Object, state and occurrence of a fact about one object; None for facts about the whole."""
    if isinstance(fact, ReleaseFact):
        return f"HelmRelease/{fact.release}", fact.fact, fact.occurrence
    if isinstance(fact, FluxChanged):
        return f"{fact.kind}/{fact.name}", fact.state, fact.occurrence
    return None
