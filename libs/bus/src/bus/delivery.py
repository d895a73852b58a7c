"""One delivery, read from top to bottom: decode, handle, publish what follows, settle, one line in the log.

This is the only place that acks, retries or buries. What follows is published before the ack, with derived ids: a crash
between the two repeats the work and says nothing new. A handler that lost a guarded append decides again on a fresh
reading. Burial counts handler errors, never "try again".
"""

import hashlib
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from nats.aio.msg import Msg

from bus.codec import Unreadable, decode
from bus.connection import Connection
from bus.journal import Journal
from bus.metrics import Metrics
from bus.outcome import Conflict, LeaseLost, Refused, TryAgain
from bus.routing import DoorMessage, DoorRoute, Fired, Route, TimerRoute, Wake
from bus.timers import Timers, fired_id
from bus.tracing import delivery_span
from contracts.event import NAMESPACE, About, Fact
from contracts.history import History
from contracts.topology import INBOX, TIMER_STREAM

log = logging.getLogger("bus.delivery")

BURY_AT = 10
"""A handler error at this delivery buries the message."""
_DECISIONS = 12
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 120.0


@dataclass(frozen=True)
class Work:
    """What one message asks for, decoded: how to handle it and what may follow."""

    name: str
    sovereign: str
    run: Callable[[], Awaitable[None]]


class Deliveries:
    """Handles the messages of one service."""

    def __init__(
        self,
        connection: Connection,
        journal: Journal,
        timers: Timers,
        metrics: Metrics,
        routes: Iterable[Route | TimerRoute | DoorRoute],
    ) -> None:
        self._connection = connection
        self._journal = journal
        self._timers = timers
        self._metrics = metrics
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
        started = time.perf_counter()
        meta = message.metadata
        attempt = int(meta.num_delivered)
        if attempt > 1:
            self._metrics.redeliveries.labels(consumer).inc()
        name, sovereign, reason = message.subject, "", ""
        with delivery_span(message.subject, message.headers):
            try:
                work = self._decode(message)
                name, sovereign = work.name, work.sovereign
                await work.run()
                outcome = "done"
            except TryAgain as again:
                outcome, reason = "again", again.reason
                await message.nak(delay=_delay_s(attempt, again.after))
            except (Conflict, LeaseLost) as lost:
                outcome, reason = "again", str(lost)
                await message.nak(delay=_delay_s(attempt, None))
            except (Refused, Unreadable) as refused:
                outcome, reason = "buried", str(refused)
            except Exception as bug:
                outcome, reason = ("buried" if attempt >= BURY_AT else "error"), f"{type(bug).__name__}: {bug}"
                log.exception("handler error", extra={"action": "handler-error", "subject": message.subject})
                if outcome == "error":
                    await message.nak(delay=_delay_s(attempt, None))
            if outcome == "buried":
                await self._bury(message, consumer, reason, attempt)
            if outcome in {"done", "buried"}:
                if meta.stream == INBOX:
                    await self._erase(int(meta.sequence.stream))
                await message.ack()
        seconds = time.perf_counter() - started
        self._metrics.deliveries.labels(consumer, outcome).inc()
        self._metrics.handler_seconds.labels(consumer).observe(seconds)
        level = logging.INFO if outcome == "done" else logging.WARNING
        log.log(
            level,
            "delivery",
            extra={
                "action": "delivery",
                "consumer": consumer,
                "event": name,
                "sovereign": sovereign,
                "outcome": outcome,
                "attempt": attempt,
                "ms": round(seconds * 1000, 1),
                **({"reason": reason[:500]} if reason else {}),
            },
        )
        return outcome

    def _decode(self, message: Msg) -> Work:
        stream = message.metadata.stream
        if stream == INBOX:
            return self._door_work(message)
        if stream == TIMER_STREAM:
            return self._timer_work(message)
        return self._event_work(message)

    def _event_work(self, message: Msg) -> Work:
        event = decode(message.subject, message.data)
        route = self._routes.get(event.data.fact)
        if route is None:
            raise Refused(f"this service has no route for {event.data.fact}, but its consumer brought one")
        sequence = int(message.metadata.sequence.stream)

        async def run() -> None:
            await self._decide(
                event.about, event.id, event.time, sequence, lambda history: route.handle(event, history)
            )

        return Work(event.type, event.subject, run)

    def _timer_work(self, message: Msg) -> Work:
        try:
            fired = Fired.model_validate_json(message.data)
        except ValueError as error:
            raise Unreadable(f"no timer: {error}") from None
        route = self._timer_routes.get(fired.timer)
        if route is None:
            raise Refused(f"this service has no route for timer {fired.timer!r}")

        async def run() -> None:
            await self._decide(fired.about, fired_id(fired), fired.due, 0, lambda history: route.handle(fired, history))

        return Work(f"timer {fired.timer}", fired.about.sovereign, run)

    def _door_work(self, message: Msg) -> Work:
        door = self._door
        if door is None:
            raise Refused("this service has no route for the door")
        given = (message.headers or {}).get("Nats-Msg-Id")
        derived = str(uuid5(NAMESPACE, f"door|{message.metadata.sequence.stream}|{message.metadata.timestamp}"))

        async def run() -> None:
            await door.handle(DoorMessage(message.data, given or derived))

        return Work("door", "", run)

    async def _decide(
        self,
        about: About,
        cause: UUID,
        at: datetime,
        sequence: int,
        handle: Callable[[History], Awaitable[Iterable[Fact | Wake]]],
    ) -> None:
        """Read, decide, append; on a lost guard read and decide again."""
        for _ in range(_DECISIONS):
            history = await self._journal.fold(about.sovereign, reaching=sequence)
            effects = list(await handle(history))
            try:
                if facts := [effect for effect in effects if isinstance(effect, Fact)]:
                    await self._journal.append(facts, about, cause=cause, after=history)
            except Conflict:
                continue
            for effect in effects:
                if isinstance(effect, Wake):
                    await self._timers.set(effect.timer, about, at + effect.after, key=effect.key)
            return
        raise TryAgain(f"others kept writing about {about.sovereign}", after=timedelta(seconds=1))

    async def _erase(self, sequence: int) -> None:
        """Remove a door message's bytes: an ack alone leaves them on disk (measured)."""
        await self._connection.api(f"$JS.API.STREAM.MSG.DELETE.{INBOX}", {"seq": sequence})

    async def _bury(self, message: Msg, consumer: str, reason: str, attempt: int) -> None:
        meta = message.metadata
        service = consumer.rsplit("-", 1)[0]
        sequence = int(meta.sequence.stream)
        # What came through the door may hold a secret in clear: it is not kept, only described.
        payload = "" if meta.stream == INBOX else message.data.decode("utf-8", "replace")
        body = {
            "stream": meta.stream,
            "consumer": consumer,
            "sequence": sequence,
            "subject": message.subject,
            "headers": dict(message.headers or {}),
            "payload_sha256": hashlib.sha256(message.data).hexdigest(),
            "payload": payload,
            "reason": reason[:2000],
            "attempts": attempt,
            "buried_at": datetime.now(UTC).isoformat(),
        }
        await self._connection.store(
            f"dlq.{service}.{meta.stream}.{sequence}",
            json.dumps(body).encode(),
            {"Nats-Msg-Id": f"dlq|{meta.stream}|{consumer}|{sequence}"},
            limit=768 * 1024,
            scan=False,
        )
        self._metrics.buried.labels(consumer).inc()


def _delay_s(attempt: int, after: timedelta | None) -> float:
    """Seconds until the next try: as told, else growing with the attempts; always jittered."""
    base = after.total_seconds() if after is not None else min(_FIRST_RETRY_S * 2 ** (attempt - 1), _LONGEST_RETRY_S)
    return base * (0.8 + 0.4 * random.random())  # noqa: S311 - jitter, no secret
