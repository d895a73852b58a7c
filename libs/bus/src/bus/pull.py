"""Our pull loop: one inbox, one outstanding request, never more messages than free slots.

The client's own ``fetch`` costs a task, a random id and a timer per message and loses a request at a disconnect. Here
a callback hands each message to a slot, a task that lives as long as the loop; slots rouse one another only while
messages wait, so that a short handler costs no switch of tasks. A request is repeated when half is used up, after a
reconnect, after missed heartbeats, and when the server ends it. In-progress marks go out for everything in hand, so
that a long apply is not delivered twice. Source: NATS ADR-37 (idle heartbeats of pull requests).
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bus.brake import Brake
from bus.connection import Connection
from bus.metrics import Metrics
from bus.waiting import event_or
from contracts.topology import Consumer

log = logging.getLogger(__name__)

_EXPIRES_S = 30
_HEARTBEAT_S = 5
_IN_PROGRESS_S = 10
_IN_A_ROW = 32
"""Messages that a slot takes before others get a turn, when its handler never waits."""
_LOOK_S = 1.0
"""Seconds between two looks while no slot is freed and no stop comes."""


class Puller:
    """Brings the messages of one durable consumer to a function, at most ``slots`` at a time."""

    def __init__(
        self,
        connection: Connection,
        consumer: Consumer,
        deliver: Callable[[Msg, str], Awaitable[str]],
        *,
        slots: int,
        metrics: Metrics,
        brake: Brake,
    ) -> None:
        self._connection = connection
        self._consumer = consumer
        self._deliver = deliver
        self._slots = slots
        self._metrics = metrics
        self._brake = brake
        self._requested = 0
        self._arrived: deque[Msg] = deque()
        self._idle: list[asyncio.Future[None]] = []
        """Slots that wait for a message."""
        self._rousing = False
        """Whether one of them is about to look."""
        self._workers: dict[asyncio.Task[None], Msg | None] = {}
        """Each slot, and the message that it has in hand."""
        self._in_hand = 0
        self._heard_at = 0.0
        self._stopping = False
        self._subscription: Subscription | None = None
        self._wake = asyncio.Event()

    @property
    def in_hand(self) -> int:
        """How many messages are with a handler now."""
        return self._in_hand

    def reconnected(self) -> None:
        """Requests that were outstanding are lost with the connection."""
        self._requested = 0
        self._wake.set()

    async def run(self, stop: asyncio.Event, *, grace_s: float) -> None:
        """Pull until told to stop; then let work in hand finish, and hand back what does not within ``grace_s``."""
        loop = asyncio.get_running_loop()
        inbox = self._connection.client.new_inbox()
        self._heard_at = loop.time()
        self._subscription = await self._connection.client.subscribe(inbox, cb=self._on_message)
        waking = loop.create_task(self._wake_at(stop), name=f"{self._consumer.name} stop")
        for number in range(self._slots):
            self._workers[loop.create_task(self._work(), name=f"{self._consumer.name} slot {number}")] = None
        try:
            last_progress = loop.time()
            while not stop.is_set():
                # Cleared before asking: a slot that becomes free while the request goes out is not missed.
                self._wake.clear()
                await self._request(inbox)
                await event_or(self._wake, _LOOK_S)
                now = loop.time()
                if self._requested and now - self._heard_at > 2 * _HEARTBEAT_S:
                    log.warning("no heartbeat from the consumer", extra={"action": "pull-silent", **self._named})
                    self._requested = 0
                if now - last_progress >= _IN_PROGRESS_S:
                    last_progress = now
                    await self._mark_in_progress()
        finally:
            waking.cancel()
            self._stopping = True
            await self._drain(grace_s)

    @property
    def _named(self) -> dict[str, str]:
        return {"consumer": self._consumer.name}

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _request(self, inbox: str) -> None:
        free = self._slots - self._in_hand - len(self._arrived) - self._requested
        if free <= 0 or (self._requested and free < (self._slots + 1) // 2):
            return
        if not self._connection.client.is_connected or self._brake.engaged:
            return
        if not self._requested:
            # Nothing was asked until now, so nothing can have been heard: silence counts from here.
            self._heard_at = asyncio.get_running_loop().time()
        self._requested += free
        body = {"batch": free, "expires": _EXPIRES_S * 10**9, "idle_heartbeat": _HEARTBEAT_S * 10**9}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._consumer.stream}.{self._consumer.name}"
        await self._connection.client.publish(subject, json.dumps(body).encode(), reply=inbox)

    async def _on_message(self, message: Msg) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if not message.reply.startswith("$JS.ACK"):
            headers = message.headers or {}
            if (status := headers.get("Status")) is not None:
                self._on_status(status, headers)
            return
        self._requested = max(0, self._requested - 1)
        if self._stopping:
            await message.nak()
            return
        self._arrived.append(message)
        self._rouse_soon()

    def _rouse_soon(self) -> None:
        """One idle slot looks in the loop's next turn: by then whoever works now has taken all, or waits."""
        if self._idle and not self._rousing:
            self._rousing = True
            asyncio.get_running_loop().call_soon(self._rouse)

    def _rouse(self) -> None:
        while self._arrived and self._idle:
            slot = self._idle.pop()
            if not slot.done():  # a slot that was cancelled while it waited is done
                slot.set_result(None)
                return
        self._rousing = False

    def _on_status(self, status: str, headers: dict[str, str]) -> None:
        if status == "100":
            return
        ended = int(headers.get("Nats-Pending-Messages", "0"))
        self._requested = max(0, self._requested - ended) if ended else 0
        if status not in {"404", "408"}:
            log.warning(
                "the server ended a pull",
                extra={"action": "pull-ended", "status": status, "why": headers.get("Description", ""), **self._named},
            )
        else:
            self._wake.set()

    async def _work(self) -> None:
        """One slot: a message at a time, for as long as the loop pulls."""
        me = asyncio.current_task()
        if me is None:
            raise AssertionError("unreachable: a slot runs as a task")
        name, deliver, workers, arrived = self._consumer.name, self._deliver, self._workers, self._arrived
        in_a_row = 0
        while True:
            while not arrived:
                in_a_row = 0
                await self._something()
            message = arrived.popleft()
            if arrived:
                self._rouse_soon()
            workers[me] = message
            self._in_hand += 1
            try:
                await deliver(message, name)
            except Exception as error:
                # Settling itself failed, for want of a connection: the message comes again after its ack wait.
                log.exception(
                    "delivery not settled", extra={"action": "unsettled", "error": repr(error), **self._named}
                )
            finally:
                workers[me] = None
                self._in_hand -= 1
            if self._in_hand + len(arrived) + self._requested <= self._slots // 2:
                self._wake.set()
            in_a_row += 1
            if in_a_row >= _IN_A_ROW:
                in_a_row = 0
                await asyncio.sleep(0)

    async def _something(self) -> None:
        """Wait until this slot is roused."""
        waiter = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        try:
            await waiter
        finally:
            self._rousing = False

    async def _mark_in_progress(self) -> None:
        for message in [message for message in self._workers.values() if message is not None]:
            await message.in_progress()
        self._metrics.in_hand.labels(self._consumer.name).set(self._in_hand)

    async def _drain(self, grace_s: float) -> None:
        """Finish or hand back. Nothing new is taken: what no slot has begun goes back at once."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s
        await self._hand_back([self._arrived.popleft() for _ in range(len(self._arrived))])
        marked_at = loop.time()
        while self._in_hand and loop.time() < deadline:
            self._wake.clear()
            await event_or(self._wake, _LOOK_S)
            if self._connection.client.is_connected and loop.time() - marked_at >= _IN_PROGRESS_S / 2:
                marked_at = loop.time()
                await self._mark_in_progress()
        unfinished = {worker: message for worker, message in self._workers.items() if message is not None}
        for worker in self._workers:
            worker.cancel()
        await asyncio.wait(set(self._workers), timeout=2)
        await self._hand_back(unfinished.values())
        if self._subscription is not None and self._connection.client.is_connected:
            await self._subscription.unsubscribe()

    async def _hand_back(self, messages: Iterable[Msg]) -> None:
        for message in messages:
            if self._connection.client.is_connected and not message.is_acked:
                await message.nak()
