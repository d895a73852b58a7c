"""One delivery, read from top to bottom: decode, keep alive, handle, publish what follows, settle, one line in the log.

This is the only place that acks, retries or buries. What follows is published before the ack, with derived ids: a crash
between the two repeats the work and says nothing new. A handler that lost a guarded append decides again on a fresh
reading. Burial counts handler errors, never "try again". Keeping alive (in-progress marks while a handler works) is the
pull loop's part, since it knows everything in hand.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from nats.aio.msg import Msg

from bus.arrived import Arrived, as_it_came
from bus.brake import Brake
from bus.codec import Unreadable, decode
from bus.connection import Connection
from bus.dlq import bury, letter_of, original_of
from bus.erasing import erase
from bus.journal import Journal
from bus.metrics import Metrics
from bus.outcome import Conflict, LeaseLost, Refused, TryAgain
from bus.routing import DoorMessage, DoorRoute, Effects, Elsewhere, Fired, Route, TimerRoute, Wake
from bus.scan import masked
from bus.timers import Timers, fired_id
from bus.tracing import delivery_span
from contracts.event import NAMESPACE, About, Fact
from contracts.history import History
from contracts.topology import DLQ, INBOX, TIMER_STREAM

log = logging.getLogger("bus.delivery")

BURY_AT = 10
"""A handler error at this delivery buries the message."""
_DECISIONS = 12
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 120.0
_UNREAD = History("")
"""What a route that needs only the event is given, and ignores."""


@dataclass(slots=True)
class Delivery:
    """One message on its way to its end; its line in the log."""

    message: Msg
    came: Arrived
    about: Arrived
    """What it is about: itself, or what a replay brought."""
    started: float
    name: str
    sovereign: str = ""


class Work(NamedTuple):
    """What one message asks for, decoded: how to handle it and what may follow."""

    name: str
    sovereign: str
    run: Callable[[], Awaitable[None]]


class Verdict(NamedTuple):
    """How a delivery ends."""

    outcome: str
    """``done``, ``again``, ``error`` (again, for a bug) or ``buried``."""
    reason: str = ""
    after: timedelta | None = None


DONE = Verdict("done")


def judge(error: Exception, attempt: int) -> Verdict:
    """What becomes of a message whose handling failed so, at this delivery."""
    match error:
        case TryAgain():
            return Verdict("again", error.reason, error.after)
        case Conflict() | LeaseLost():
            return Verdict("again", str(error))
        case Refused() | Unreadable():
            return Verdict("buried", str(error))
        case _:
            return Verdict("buried" if attempt >= BURY_AT else "error", f"{type(error).__name__}: {error}")


class Deliveries:
    """Handles the messages of one service."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        timers: Timers,
        metrics: Metrics,
        routes: Iterable[Route | TimerRoute | DoorRoute],
        *,
        brake: Brake,
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._timers = timers
        self._metrics = metrics
        self._brake = brake
        self._routes: dict[str, Route] = {}
        self._timer_routes: dict[str, TimerRoute] = {}
        self._door: DoorRoute | None = None
        for route in routes:
            match route:
                case Route():
                    self._routes[route.fact.fact] = route
                case TimerRoute():
                    self._timer_routes[route.timer.name] = route
                case DoorRoute():
                    self._door = route

    async def deliver(self, message: Msg, consumer: str) -> str:
        """Bring one message to its end; the outcome's name."""
        came = as_it_came(message, consumer)
        delivery = Delivery(message, came, came, time.perf_counter(), message.subject)
        with delivery_span(message.subject, came.headers):
            verdict = await self._handle(delivery)
            await self._settle(delivery, verdict)
        self._tell(delivery, verdict)
        return verdict.outcome

    async def _handle(self, delivery: Delivery) -> Verdict:
        """Decode, handle, publish what follows; how that ended."""
        try:
            if delivery.about.stream == DLQ:
                delivery.about = await original_of(self._connection, delivery.about)
            work = self._decode(delivery.about)
            delivery.name, delivery.sovereign = work.name, work.sovereign
            began = time.perf_counter()
            try:
                await work.run()
            finally:
                self._metrics.deliveries.handled(delivery.came.consumer, time.perf_counter() - began)
        except (TryAgain, Conflict, LeaseLost, Refused, Unreadable) as expected:
            return judge(expected, delivery.came.attempt)
        except Exception as bug:
            log.exception("handler error", extra={"action": "handler-error", "subject": delivery.message.subject})
            return judge(bug, delivery.came.attempt)
        return DONE

    async def _settle(self, delivery: Delivery, verdict: Verdict) -> None:
        """Ack, hand back for later, or bury: nowhere else."""
        message, came = delivery.message, delivery.came
        if verdict.outcome in {"again", "error"}:
            await message.nak(delay=_delay_s(came.attempt, verdict.after))
            return
        if verdict.outcome == "buried":
            await self._bury(delivery, verdict)
        if came.stream == INBOX:
            await erase(self._connection, INBOX, came.sequence)
        await message.ack()

    def _tell(self, delivery: Delivery, verdict: Verdict) -> None:
        """One line in the log, the counters, and the brake."""
        attempt = delivery.came.attempt
        if verdict.outcome == "done":
            self._brake.released()
        elif verdict.outcome == "error":
            self._brake.failed(f"{delivery.came.stream}|{delivery.came.sequence}")
        self._metrics.deliveries.ended(delivery.came.consumer, verdict.outcome)
        if attempt > 1:
            self._metrics.redeliveries.labels(delivery.came.consumer).inc()
        level = logging.INFO if verdict.outcome == "done" else logging.WARNING
        if not log.isEnabledFor(level):
            return
        log.log(
            level,
            "delivery",
            extra={
                "action": "delivery",
                "consumer": delivery.came.consumer,
                "event": delivery.name,
                "sovereign": delivery.sovereign,
                "outcome": verdict.outcome,
                "attempt": attempt,
                "ms": round((time.perf_counter() - delivery.started) * 1000, 1),
                **({"reason": masked(verdict.reason)[:500]} if verdict.reason else {}),
            },
        )

    def _decode(self, arrived: Arrived) -> Work:
        if arrived.stream == INBOX:
            return self._door_work(arrived)
        if arrived.stream == TIMER_STREAM:
            return self._timer_work(arrived)
        return self._event_work(arrived)

    def _event_work(self, arrived: Arrived) -> Work:
        event = decode(arrived.subject, arrived.data)
        route = self._routes.get(event.data.fact)
        if route is None:
            raise Refused(f"this service has no route for {event.data.fact}, but its consumer brought one")

        async def run() -> None:
            if route.reads:
                await self._decide(
                    event.about, event.id, event.time, arrived.sequence, lambda history: route.handle(event, history)
                )
            elif effects := await route.handle(event, _UNREAD):
                await self._follow(effects, event.about, event.id, event.time, History(event.subject))

        return Work(event.type, event.subject, run)

    def _timer_work(self, arrived: Arrived) -> Work:
        try:
            fired = Fired.model_validate_json(arrived.data)
        except ValueError as error:
            raise Unreadable(f"no timer: {error}") from None
        route = self._timer_routes.get(fired.timer)
        if route is None:
            raise Refused(f"this service has no route for timer {fired.timer!r}")

        async def run() -> None:
            await self._decide(fired.about, fired_id(fired), fired.due, 0, lambda history: route.handle(fired, history))

        return Work(f"timer {fired.timer}", fired.about.sovereign, run)

    def _door_work(self, arrived: Arrived) -> Work:
        door = self._door
        if door is None:
            raise Refused("this service has no route for the door")
        given = arrived.headers.get("Nats-Msg-Id")
        derived = str(uuid5(NAMESPACE, f"door|{arrived.sequence}|{arrived.at}"))

        async def run() -> None:
            await door.handle(DoorMessage(arrived.data, given or derived))

        return Work("door", "", run)

    async def _decide(
        self,
        about: About,
        cause: UUID,
        at: datetime,
        sequence: int,
        handle: Callable[[History], Awaitable[Effects]],
    ) -> None:
        """Read, decide, append; on a lost guard read and decide again."""
        for _ in range(_DECISIONS):
            history = await self._journal.fold(about.sovereign, reaching=sequence)
            # Outside the try: a Conflict that the handler itself raises means that another worker has taken over.
            effects = await handle(history)
            try:
                await self._follow(effects, about, cause, at, history)
            except Conflict:
                continue
            return
        raise TryAgain(f"others kept writing about {about.sovereign}", after=timedelta(seconds=1))

    async def _follow(self, effects: Effects, about: About, cause: UUID, at: datetime, history: History) -> None:
        """Say the facts that follow, then set the timers."""
        following = list(effects)
        for effect in following:
            if isinstance(effect, Fact):
                history = await self._journal.append([effect], about, cause=cause, after=history)
            elif isinstance(effect, Elsewhere):
                history = await self._journal.append([effect.fact], effect.about, cause=cause, after=history)
        for effect in following:
            if isinstance(effect, Wake):
                await self._timers.set(effect.timer, about, at + effect.after, key=effect.key)

    async def _bury(self, delivery: Delivery, verdict: Verdict) -> None:
        letter = letter_of(delivery.about, reason=verdict.reason)
        await bury(self._connection, letter, carrier=f"{delivery.came.stream}|{delivery.came.sequence}")
        self._metrics.buried.labels(delivery.came.consumer).inc()


def _delay_s(attempt: int, after: timedelta | None) -> float:
    """Seconds until the next try: as told, else growing with the attempts; always jittered."""
    base = after.total_seconds() if after is not None else min(_FIRST_RETRY_S * 2 ** (attempt - 1), _LONGEST_RETRY_S)
    return base * (0.8 + 0.4 * random.random())  # noqa: S311 - jitter, no secret
