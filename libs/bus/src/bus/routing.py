"""What a service hears and answers: routes from events, timers, the door and questions to plain functions."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from contracts.catalogue import ENTRIES, Question, TimerRow
from contracts.event import About, Event, Fact, Model
from contracts.history import History
from contracts.questions import Asker

F = TypeVar("F", bound=Fact)
Q = TypeVar("Q", bound=Model)
R = TypeVar("R", bound=Model)


@dataclass(frozen=True)
class Wake:
    """Something that follows beside facts: wake this service about this Sovereign after a while.

    The due time counts from the event that caused it, so that a repeat sets the same timer again. Facts are stored
    before timers are set: a handler that meets its own facts in the history must ask for the same timers once more, or
    a crash in between loses them. Timers are never cancelled: the
    handler looks whether it still matters.
    """

    timer: TimerRow
    after: timedelta
    key: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """A fact that follows for another life or run of the same Sovereign than that of its cause."""

    fact: Fact
    about: About


class Fired(Model):
    """A timer that is due. Also the body in which it waits."""

    timer: str
    about: About
    key: str = ""
    due: datetime


@dataclass(frozen=True)
class DoorMessage:
    """What an outsider published at the door, as it came."""

    payload: bytes
    message_id: str
    """``Nats-Msg-Id`` if the publisher gave one, else derived from the stream's sequence."""


Effects = Iterable[Fact | Wake | Elsewhere]
TimerHandler = Callable[[Fired, History], Awaitable[Effects]]
DoorHandler = Callable[[DoorMessage], Awaitable[None]]


@dataclass(frozen=True)
class Route:
    """From an event type to the function that answers it."""

    fact: type[Fact]
    handle: Callable[[Event[Any], History], Awaitable[Effects]]
    reads: bool = True
    """Whether the Sovereign is read before; a handler that does not read says nothing that is guarded."""


@dataclass(frozen=True)
class TimerRoute:
    """From a timer to the function that looks whether it still matters."""

    timer: TimerRow
    handle: TimerHandler


@dataclass(frozen=True)
class DoorRoute:
    """From the public door to the function that judges what came."""

    handle: DoorHandler


@dataclass(frozen=True)
class Answering:
    """From a question to the function that answers it."""

    question: Question
    handle: Callable[[Any, Asker | None], Awaitable[Model]]


def on(fact: type[F], handle: "Callable[[Event[F], History], Awaitable[Effects]]") -> Route:
    """Hear an event. The consumer (work or command) comes from the catalogue."""
    if fact.fact not in ENTRIES:
        raise ValueError(f"{fact.__name__} is in no row of the catalogue")
    return Route(fact, handle)


def hear(fact: type[F], handle: "Callable[[Event[F]], Awaitable[Effects]]") -> Route:
    """Hear an event whose handler needs nothing but the event: no reading, so several times as fast."""
    if fact.fact not in ENTRIES:
        raise ValueError(f"{fact.__name__} is in no row of the catalogue")

    async def without_reading(event: Event[F], _history: History) -> Effects:
        return await handle(event)

    return Route(fact, without_reading, reads=False)


def on_timer(timer: TimerRow, handle: TimerHandler) -> TimerRoute:
    """Hear a timer."""
    return TimerRoute(timer, handle)


def at_door(handle: DoorHandler) -> DoorRoute:
    """Hear the public door."""
    return DoorRoute(handle)


def answer(question: Question, handle: Callable[[Q, Asker | None], Awaitable[R]]) -> Answering:
    """Answer a question."""
    return Answering(question, handle)
