"""Consume and ack: the bus's own pull loop and delivery, against a bare callback of the client with the same work."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from bench._ground import about, enrolled, ground_with_past
from bench._report import Figure, tell
from bus import Bus, hear, on
from bus.brake import Brake
from bus.codec import decode
from bus.delivery import Deliveries
from bus.pull import Puller
from bus.routing import Route
from bus.topology import ensure_topology
from contracts import Event, Fact, History
from contracts.node import NodeEnrolled
from contracts.topology import Consumer, consumers

MESSAGES = 10_000
REPEATS = 5
SLOTS = 256
"""What flux-watcher has, whose consumer is read here."""


class _Count:
    """Tells when the last message was handled."""

    def __init__(self) -> None:
        self.seen = 0
        self.all = asyncio.Event()

    def one(self) -> None:
        self.seen += 1
        if self.seen == MESSAGES:
            self.all.set()


async def consuming() -> AsyncIterator[Figure]:
    """Side by side, in turns: bare, through the bus, and the same with what costs more."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    trace.set_tracer_provider(provider)
    logging.getLogger("bus").setLevel(logging.WARNING)
    rows: dict[str, list[float]] = {}
    async with _stored(TraceFlags.DEFAULT) as (admin, watcher):
        for repeat in range(REPEATS):
            tell(f"consuming, round {repeat + 1} of {REPEATS}")
            rows.setdefault("bare", []).append(await _bare(admin, Msg.ack))
            rows.setdefault("bus", []).append(await _through_the_bus(admin, watcher, _heard))
            rows.setdefault("bare confirmed", []).append(await _bare(admin, Msg.ack_sync))
            rows.setdefault("bus, with a reading before each", []).append(await _through_the_bus(admin, watcher, _read))
    async with _stored(TraceFlags.SAMPLED) as (admin, watcher):
        for repeat in range(REPEATS):
            tell(f"consuming what is sampled, round {repeat + 1} of {REPEATS}")
            rows.setdefault("bus sampled", []).append(await _through_the_bus(admin, watcher, _heard))
    provider.shutdown()
    ratios = [mine / bare for mine, bare in zip(rows["bus"], rows["bare"], strict=True)]
    conditions = f"uvloop, spans unsampled, {SLOTS} slots, log level WARNING"
    yield Figure.of("consume + ack, bus / bare callback", ratios, goal=0.8, better="higher", note=conditions)
    for name, rates in rows.items():
        yield Figure.of(f"  {name}", rates, unit="/s", better="higher")


@asynccontextmanager
async def _stored(flags: int) -> AsyncIterator[tuple[Bus, Bus]]:
    """A stream of events as production stores them: each carries its producer's trace context, sampled or not."""
    tell(f"storing {MESSAGES:,} events to consume")
    producer = SpanContext(trace_id=1, span_id=1, is_remote=False, trace_flags=TraceFlags(flags))
    past = (enrolled(about(number % 500), number) for number in range(MESSAGES))
    async with AsyncExitStack() as stack:
        with trace.use_span(NonRecordingSpan(producer)):
            ground = await stack.enter_async_context(ground_with_past(past))
        yield await ground.bus("admin"), await ground.bus("flux-watcher")


async def _bare(admin: Bus, settle: Callable[[Msg], Awaitable[Any]]) -> float:
    """Messages per second of a push callback of the client; its consumer has the filters and window of the bus's."""
    count, client = _Count(), admin.connection.client

    async def take(message: Msg) -> None:
        decode(message.subject, message.data)
        await settle(message)
        count.one()

    row, inbox, jetstream = _consumer("flux-watcher-work"), client.new_inbox(), client.jetstream()
    subscription = await client.subscribe(inbox, cb=take)
    config = ConsumerConfig(
        ack_policy=AckPolicy.EXPLICIT,
        max_ack_pending=row.max_ack_pending,
        filter_subjects=list(row.filters),
        deliver_subject=inbox,
    )
    started = time.perf_counter()
    made = await jetstream.add_consumer(row.stream, config)
    await asyncio.wait_for(count.all.wait(), 120)
    await client.flush()
    seconds = time.perf_counter() - started
    await jetstream.delete_consumer(row.stream, made.name)
    await subscription.unsubscribe()
    return MESSAGES / seconds


def _heard(count: _Count) -> Route:
    async def enrolled(_event: Event[NodeEnrolled]) -> list[Fact]:
        count.one()
        return []

    return hear(NodeEnrolled, enrolled)


def _read(count: _Count) -> Route:
    async def enrolled(_event: Event[NodeEnrolled], _history: History) -> list[Fact]:
        count.one()
        return []

    return on(NodeEnrolled, enrolled)


async def _through_the_bus(admin: Bus, watcher: Bus, route: Callable[[_Count], Route]) -> float:
    """Messages per second of the bus: pull, decode, handle, settle."""
    row = _consumer("flux-watcher-work")
    await admin.connection.api(f"$JS.API.CONSUMER.DELETE.{row.stream}.{row.name}")
    await ensure_topology(admin.connection, scale=0.02)
    count, stop, brake = _Count(), asyncio.Event(), Brake()
    deliveries = Deliveries(
        watcher.connection, watcher.journal, watcher.timers, watcher.metrics, [route(count)], brake=brake
    )
    puller = Puller(watcher.connection, row, deliveries.deliver, slots=SLOTS, metrics=watcher.metrics, brake=brake)
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(puller.run(stop, grace_s=5))
        await asyncio.wait_for(count.all.wait(), 120)
        await watcher.connection.client.flush()
        seconds = time.perf_counter() - started
        stop.set()
    return MESSAGES / seconds


def _consumer(name: str) -> Consumer:
    return next(row for row in consumers() if row.name == name)


__all__ = ["consuming"]
