"""Any interleaving of lists, changes, 410, broken connections and duplicates: same end, nothing said twice."""

from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.event import event_of
from contracts.history import History, Recorded
from contracts.kit import kit_of
from flux_watcher.api import ApiTrouble, Denied, Expired, Forbidden, Happened, NotServed, Page, Unreachable
from flux_watcher.course import Course, Windows
from flux_watcher.decide import decide
from flux_watcher.expected import expected_of
from flux_watcher.memory import Memory, told_of
from flux_watcher.objects import HELM_RELEASE, Kind, Seen
from flux_watcher.reflector import Pace, Reflector
from flux_watcher.state import Picture, Wanted
from tests.deliver import ABOUT
from tests.unit.flux_watcher.objects import cond, raw, record

T = TypeVar("T")
CAUSE = UUID(int=7)
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NAMES = ("a", "b", "c")
KIT = kit_of({"components": [{"name": n, "namespace": n, "chart": {"version": "1"}} for n in NAMES]})
SHAPES: dict[str, tuple[list[Any], int]] = {
    "pending": ([], -1),
    "blocked": ([("Reconciling", "True", "Progressing"), ("Ready", "False", "DependencyNotReady")], -1),
    "working": ([("Reconciling", "True", "Progressing"), ("Ready", "Unknown", "Progressing")], -1),
    "retrying": ([("Reconciling", "True", "ProgressingWithRetry"), ("Ready", "False", "InstallFailed")], -1),
    "ready": ([("Ready", "True", "InstallSucceeded")], 1),
    "stalled": ([("Ready", "False", "InstallFailed"), ("Stalled", "True", "RetriesExceeded")], 1),
}


class Takeover(Exception):
    """Another replica goes on from what the stream says."""


TROUBLES: dict[str, Exception] = {
    "break": Unreachable("connection reset"),
    "error": Unreachable("503"),
    "gone": Expired("too old resource version"),
    "takeover": Takeover(),
}
CHANGES = st.tuples(st.just("change"), st.sampled_from(NAMES), st.sampled_from([*SHAPES, "delete"]), st.booleans())
TROUBLE = st.tuples(st.sampled_from(["close", "again", "bookmark", *TROUBLES]))
SCRIPTS = st.lists(CHANGES | TROUBLE, max_size=40)


class Over(Exception):
    """The script has ended and everything was delivered."""


@dataclass
class Server:
    """An API server with one kind, whose watches go as a script says."""

    script: list[Any]
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    version: int = 1
    born: int = 0

    def mutate(self, name: str, shape: str) -> None:
        self.version += 1
        if shape == "delete":
            if name in self.objects:
                self.log.append((self.version, "DELETED", self.objects.pop(name)))
            return
        before = self.objects.get(name)
        if before is None:
            self.born += 1
        at = (START + timedelta(seconds=self.version)).isoformat()
        conditions, observed = SHAPES[shape]
        item = raw(
            name,
            *(cond(*each, at=at) for each in conditions),
            observed=observed,
            uid=before["metadata"]["uid"] if before else f"uid-{self.born}",
            resourceVersion=str(self.version),
        )
        self.objects[name] = item
        self.log.append((self.version, "MODIFIED" if before else "ADDED", item))

    async def page(self, kind: Kind, *, limit: int, more: str = "") -> Page:
        """Two objects a page, so that lists have several."""
        names = sorted(self.objects)
        start = int(more or 0)
        rest = str(start + 2) if len(names) > start + 2 else ""
        return Page(tuple(self.objects[n] for n in names[start : start + 2]), str(self.version), rest)

    async def watch(self, kind: Kind, *, version: str, seconds: int) -> AsyncIterator[Happened]:
        at = int(version)
        while True:
            for number, change, item in [entry for entry in self.log if entry[0] > at]:
                at = number
                yield Happened(change, str(number), item)  # type: ignore[arg-type]
            if not self.script:
                raise Over
            match self.script.pop(0):
                case ("change", name, shape, held_back):
                    self.mutate(name, shape)
                    if held_back:
                        return
                case ("close",):
                    return
                case ("bookmark",):
                    yield Happened("BOOKMARK", str(at), {})
                case ("again",):
                    for number, change, item in self.log[-2:]:
                        if number <= at and change != "DELETED" and self.objects.get(item["metadata"]["name"]) == item:
                            yield Happened(change, str(number), item)  # type: ignore[arg-type]
                case (trouble,):
                    raise TROUBLES[trouble]


@dataclass
class Listener:
    """Says what follows, as a watch does, and remembers it as the stream does."""

    stream: list[Recorded]
    picture: Picture = field(default_factory=Picture)
    now: datetime = START

    def __post_init__(self) -> None:
        self.course = Course(
            wanted=Wanted(expected_of(KIT)),
            picture=self.picture,
            memory=Memory.of(History(ABOUT.sovereign, tuple(self.stream)), run=1),
            windows=Windows(first_seen=timedelta(days=1), still=timedelta(days=1)),
            begun_at=START,
        )
        if self.stream:
            self.now = self.stream[-1].event.time

    def speak(self) -> None:
        self.now += timedelta(seconds=1)
        for fact in self.course.due(self.now).facts:
            event = event_of(fact, ABOUT, source="flux-watcher", cause=CAUSE, at=self.now)
            self.course.memory.add(event)
            self.stream.append(Recorded(len(self.stream) + 1, event))

    def listed(self, kind: Kind, objects: list[Seen]) -> None:
        self.picture.replace(kind, objects)
        self.speak()

    def changed(self, kind: Kind, seen: Seen) -> None:
        self.picture.put(kind, seen)
        self.speak()

    def deleted(self, kind: Kind, seen: Seen) -> None:
        self.picture.remove(kind, seen)
        self.speak()

    def unserved(self, kind: Kind) -> None:
        self.picture.not_served(kind)

    def trouble(self, kind: Kind, error: ApiTrouble | None) -> None:
        pass


async def _no_pause(_: float) -> None:
    return


def driven(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits, without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError("it waits for something")


async def play(script: list[Any]) -> tuple[Server, Listener]:
    server = Server(list(script))
    stream: list[Recorded] = []
    while True:
        listener = Listener(stream)
        reflector = Reflector(HELM_RELEASE, server, listener, Pace(), sleep=_no_pause)
        try:
            await reflector.run()
        except Takeover:
            continue
        except Over:
            for _ in range(5):  # the damped ones come when their time has come
                listener.now += timedelta(seconds=30)
                listener.speak()
            return server, listener


@settings(max_examples=300)
@given(SCRIPTS)
def test_any_interleaving_ends_in_the_same_states_and_repeats_nothing(script: list[Any]) -> None:
    server, listener = driven(play(script))
    truth = {name: decide(record(item)).state for name, item in server.objects.items()}
    assert {found.name: decide(found).state for found in listener.picture.of("HelmRelease")} == truth
    ids = [item.event.id for item in listener.stream]
    assert len(ids) == len(set(ids))
    last: dict[str, Any] = {}
    for item in listener.stream:
        told = told_of(item.event.data)
        assert told is not None
        last[item.event.data.release] = item.event.data
    assert set(truth) <= set(last)
    for name, fact in last.items():
        if name in truth:
            now = record(server.objects[name])
            assert fact.fact == listener.course._kind_of(now, decide(now)).fact
        else:
            assert fact.occurrence.endswith("/gone")


@settings(max_examples=100)
@given(SCRIPTS)
def test_one_object_is_told_of_at_most_once_in_ten_seconds_unless_the_state_is_new(script: list[Any]) -> None:
    _, listener = driven(play(script))
    last: dict[str, datetime] = {}
    states: set[tuple[str, str]] = set()
    for item in listener.stream:
        release, state = item.event.data.release, item.event.data.fact
        if (release, state) in states:
            assert item.event.time - last[release] >= timedelta(seconds=10)
        states.add((release, state))
        last[release] = item.event.time


class Failing:
    """Fails in a given way each time, and notes how long the reflector pauses."""

    def __init__(self, errors: list[ApiTrouble]) -> None:
        self.errors = errors
        self.pauses: list[float] = []

    async def page(self, kind: Kind, *, limit: int, more: str = "") -> Page:
        if not self.errors:
            raise Over
        raise self.errors.pop(0)

    def watch(self, kind: Kind, *, version: str, seconds: int) -> AsyncIterator[Happened]:
        raise AssertionError("nothing was listed")

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def run_failing(errors: list[ApiTrouble]) -> tuple[Failing, Listener]:
    api, listener = Failing(errors), Listener([])
    try:
        await Reflector(HELM_RELEASE, api, listener, Pace(), sleep=api.sleep).run()
    except Over:
        return api, listener
    raise AssertionError("unreachable")


def test_pauses_grow_while_nothing_answers_up_to_a_bound() -> None:
    api, _ = driven(run_failing([Unreachable("x")] * 12))
    assert api.pauses[0] < 0.6
    assert api.pauses[:5] == sorted(api.pauses[:5])
    assert 27 <= api.pauses[-1] <= 33


def test_a_kind_that_is_not_served_or_not_allowed_counts_as_an_empty_list() -> None:
    for error in (NotServed("404"), Forbidden("403")):
        _, listener = driven(run_failing([error]))
        assert listener.picture.synced("HelmRelease")


def test_a_refused_credential_is_tried_slowly() -> None:
    api, _ = driven(run_failing([Denied("401")]))
    assert api.pauses[0] > 10
