"""What is to be said next about one cluster in one run: a function of the picture, of what was said and of the time.

``due`` compares the picture with the memory and gives the facts that follow, and the time at which to look again
though nothing changes: a damped change, the end of the stability window, a standstill.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.errors import trouble
from contracts.event import Fact
from contracts.flux import (
    FluxBootstrapped,
    FluxChanged,
    FluxConverged,
    FluxDiverged,
    FluxStalled,
    HrDegraded,
    HrFailed,
    HrInstalling,
    HrPending,
    HrReady,
)
from flux_watcher.decide import Verdict, decide, occurrence
from flux_watcher.memory import Memory
from flux_watcher.objects import FLUX_KINDS, FLUX_SYSTEM, LISTED_KINDS, Seen
from flux_watcher.playbook import code_of_component, diagnose, waits_for
from flux_watcher.state import CONTROLLERS, Missing, Picture, Wanted

KEEPS_RETRYING = 3
"""From so many attempts on, a release that was never ready is degraded, not merely being installed."""
_KINDS_SAID = tuple(kind.name for kind in FLUX_KINDS if kind.name != "HelmRelease")
_KINDS_QUIET = tuple(kind.name for kind in LISTED_KINDS)


@dataclass(frozen=True)
class Windows:
    """How long things may take."""

    stable: timedelta = timedelta(seconds=30)
    """Everything has to hold this long before it has converged."""
    diverged: timedelta = timedelta(seconds=5)
    """A converged set may miss something this long before it no longer is."""
    first_seen: timedelta = timedelta(minutes=15)
    """A release has to appear within this time of the enrolment."""
    still: timedelta = timedelta(minutes=10)
    """Something has to move within this time, until all is ready."""
    unreachable: timedelta = timedelta(seconds=60)
    """The cluster's API may be silent this long before that is said."""


@dataclass(frozen=True)
class Step:
    """What to say now, and when to look again."""

    facts: tuple[Fact, ...] = ()
    again_at: datetime | None = None


@dataclass
class Course:
    """One run of one Sovereign, as far as its cluster goes."""

    wanted: Wanted
    picture: Picture
    memory: Memory
    windows: Windows
    begun_at: datetime
    """When the watched part of this run began: the enrolment, or the outputs if these came later."""
    unreachable_since: datetime | None = None
    unreachable_why: str = ""
    first_login: str = ""
    """The first password as the node sealed it to the operator's own key."""
    _stable_since: datetime | None = None
    _missing_since: datetime | None = None
    _again: list[datetime] = field(default_factory=list)

    def due(self, now: datetime) -> Step:
        """The facts that follow from what is seen, in the order in which they are said."""
        self._again = []
        facts: list[Fact] = []
        facts.extend(self._sources(now))
        facts.extend(self._bootstrapped())
        facts.extend(self._releases(now))
        facts.extend(self._vanished(now))
        facts.extend(self._whole(now))
        if not facts:
            facts.extend(self._standstill(now))
        return Step(tuple(facts), min((at for at in self._again if at > now), default=None))

    def contact(self, now: datetime, why: str = "") -> None:
        """The cluster's API answered (no reason given), or it did not."""
        if not why:
            self.unreachable_since, self.unreachable_why = None, ""
        else:
            self.unreachable_since = self.unreachable_since or now
            self.unreachable_why = why

    def _sources(self, now: datetime) -> Iterator[Fact]:
        for kind in (*_KINDS_SAID, *_KINDS_QUIET):
            quiet = kind in _KINDS_QUIET
            for seen in self.picture.of(kind):
                verdict = decide(seen)
                if quiet and not self._counts(seen):
                    continue
                mark = occurrence(seen, verdict)
                if self._say(seen.title, verdict, mark, now, quiet=quiet):
                    yield self._changed(seen, verdict, mark)

    def _counts(self, seen: Seen) -> bool:
        """Workloads and nodes are told of only when they leave ready after all was ready, and when they come back."""
        return self.memory.ever_converged or seen.title in self.memory.told

    def _changed(self, seen: Seen, verdict: Verdict, mark: str) -> FluxChanged:
        return FluxChanged(
            kind=seen.kind,
            name=seen.title.partition("/")[2],
            state=verdict.state,
            reason=verdict.reason,
            message=verdict.message,
            revision=seen.revision,
            depends_on=seen.depends_on,
            occurrence=mark,
        )

    def _bootstrapped(self) -> Iterator[Fact]:
        if self.memory.bootstrapped or not self.picture.bootstrapped(self.wanted):
            return
        yield FluxBootstrapped(
            controllers=CONTROLLERS,
            revision=self.picture.revision(self.wanted),
            expected=self.wanted.expected.names,
            cluster_uid=self.memory.cluster_uid,
        )

    def _releases(self, now: datetime) -> Iterator[Fact]:
        order = {name: index for index, name in enumerate(self.wanted.expected.names)}
        found = [seen for seen in self.picture.of("HelmRelease") if seen.namespace == FLUX_SYSTEM]
        for seen in sorted(found, key=lambda item: (order.get(item.name, len(order)), item.name)):
            verdict = decide(seen)
            mark = occurrence(seen, verdict)
            fact = self._kind_of(seen, verdict)
            due = self.memory.due(seen.title, fact.fact, mark, now, timeless=verdict.since is None)
            if due.at:
                self._again.append(due.at)
            if due.now:
                yield self._release(fact, seen, verdict, mark, due.changes)

    def _kind_of(
        self, seen: Seen, verdict: Verdict
    ) -> type[HrPending | HrInstalling | HrReady | HrDegraded | HrFailed]:
        match verdict.state:
            case "ready":
                return HrReady
            case "failed":
                return HrFailed
            case "suspended" | "gone":
                return HrDegraded
            case "pending" | "blocked":
                return HrDegraded if self._said_ready(seen) else HrPending
            case "retrying":
                known = seen.deployed or self._said_ready(seen) or seen.attempts >= KEEPS_RETRYING
                return HrDegraded if known else HrInstalling
            case _:
                return HrInstalling

    def _said_ready(self, seen: Seen) -> bool:
        told = self.memory.told.get(seen.title)
        return told is not None and HrReady.fact in told.states

    def _release(
        self,
        kind: type[HrPending | HrInstalling | HrReady | HrDegraded | HrFailed],
        seen: Seen,
        verdict: Verdict,
        mark: str,
        changes: int,
    ) -> Fact:
        component = self.wanted.expected.component(seen.name)
        values = {
            "component": seen.name,
            "release": seen.name,
            "version": seen.version or (component.chart.version if component else seen.wanted),
            "revision": seen.revision,
            "depends_on": seen.depends_on,
            "blocked_by": waits_for(self.picture, seen, verdict),
            "generation": max(seen.generation, 0),
            "reason": verdict.reason,
            "message": verdict.message,
            "attempts": seen.attempts,
            "since": verdict.since,
            "changes": changes,
            "occurrence": mark,
        }
        if kind is HrFailed:
            code = code_of_component(self.picture, self.wanted, seen.name) or "release-failed"
            values["trouble"] = trouble(code, attempted="install the release", on=seen.title, message=verdict.message)
        return kind.model_validate(values)

    def _vanished(self, now: datetime) -> Iterator[Fact]:
        """What was told of and is no longer there: also when it went while nobody watched."""
        for title, told in list(self.memory.told.items()):
            kind, _, inner = title.partition("/")
            namespace, _, name = inner.rpartition("/")
            namespace = namespace or ("" if kind == "Node" else FLUX_SYSTEM)
            if not told.last_occurrence or not self.picture.synced(kind) or self.picture.get(kind, name, namespace):
                continue
            mark = f"{told.last_occurrence.split('/', 1)[0]}/gone"
            seen = Seen(kind, namespace, name, uid="")
            verdict = Verdict("gone", "Deleted", "the object no longer exists")
            if kind == "HelmRelease":
                due = self.memory.due(title, HrDegraded.fact, mark, now)
                if due.now:
                    yield self._release(HrDegraded, seen, verdict, mark, due.changes)
                elif due.at:
                    self._again.append(due.at)
            elif self._say(title, verdict, mark, now):
                yield self._changed(seen, verdict, mark)

    def _say(self, title: str, verdict: Verdict, mark: str, now: datetime, *, quiet: bool = False) -> bool:
        due = self.memory.due(title, verdict.state, mark, now, quiet=quiet, timeless=verdict.since is None)
        if due.at:
            self._again.append(due.at)
        return due.now

    def _whole(self, now: datetime) -> Iterator[Fact]:
        missing = self.picture.missing(self.wanted)
        if missing:
            self._stable_since = None
            if self.memory.converged is not None and self.picture.complete:
                yield from self._diverged(missing, now)
            return
        self._missing_since = None
        self._stable_since = self._stable_since or now
        if self.memory.converged is not None or not self.memory.bootstrapped:
            return
        if now < self._stable_since + self.windows.stable:
            self._again.append(self._stable_since + self.windows.stable)
            return
        yield FluxConverged(
            revision=self.picture.revision(self.wanted),
            releases=tuple((c.name, c.chart.version) for c in self.wanted.expected.components),
            stable_s=(now - self._stable_since).total_seconds(),
            extras=self.picture.extras(self.wanted),
            first_login=self.first_login,
            replaces=self.memory.diverged,
        )

    def _diverged(self, missing: tuple[Missing, ...], now: datetime) -> Iterator[Fact]:
        self._missing_since = self._missing_since or now
        if now < self._missing_since + self.windows.diverged:
            self._again.append(self._missing_since + self.windows.diverged)
            return
        found = diagnose(self.picture, self.wanted, bootstrapped=True, appeared=True)
        if found is None:
            return
        names = tuple(item.what for item in missing)
        yield FluxDiverged(missing=names, trouble=found.trouble, replaces=self.memory.converged)

    def _standstill(self, now: datetime) -> Iterator[Fact]:
        """Said once per standstill: its code and beginning name it, so a repeat is the same fact."""
        if self.unreachable_since is not None:
            at = self.unreachable_since + self.windows.unreachable
            if now < at:
                self._again.append(at)
                return
            young = now < self.begun_at + timedelta(minutes=5)
            code = "api-not-up-yet" if young and not self.memory.appeared else "cluster-unreachable"
            what = trouble(code, attempted="read the cluster", on="Kubernetes API", message=self.unreachable_why)
            if code == "api-not-up-yet":
                self._again.append(self.begun_at + timedelta(minutes=5, seconds=1))
            yield FluxStalled(trouble=what, blocking="Kubernetes API", since=self._moved_at())
            return
        if self.memory.converged is not None:
            return
        since = self._moved_at()
        at = since + (self.windows.still if self.memory.appeared else self.windows.first_seen)
        if now < at:
            self._again.append(at)
            return
        found = diagnose(
            self.picture, self.wanted, bootstrapped=self.memory.bootstrapped, appeared=self.memory.appeared
        )
        if found is not None:
            yield FluxStalled(trouble=found.trouble, blocking=found.blocking, evidence=found.evidence, since=since)

    def _moved_at(self) -> datetime:
        """When anything moved last."""
        if not self.memory.appeared:
            return self.begun_at
        return max(self.begun_at, self.memory.progress_at or self.begun_at)
