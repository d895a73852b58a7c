"""A service of the test's own in the test's process: dns-pdm's routes with a handler that the test gives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from bus import Bus, Service, on, on_timer, run_service
from contracts import Fact, History
from contracts.catalogue import EVENTS, TimerRow
from contracts.sovereign import SovereignRequested

Handler = Callable[[Any, History], Awaitable[list[Any]]]


async def nothing(_event: Any, _history: History) -> list[Fact]:
    return []


def dns_pdm(handler: Handler, *, timers: Sequence[tuple[TimerRow, Any]] = (), **more: Any) -> Service:
    """``handler`` hears sovereign.requested, everything else is done at once."""
    heard = [e.fact for e in EVENTS if any(listener.service == "dns-pdm" for listener in e.heard_by)]
    routes = [on(fact, handler if fact is SovereignRequested else nothing) for fact in heard]
    return Service(name="dns-pdm", routes=[*routes, *(on_timer(*timer) for timer in timers)], **more)


@contextlib.asynccontextmanager
async def hosted(bus: Bus, service: Service, *, seconds: float = 90) -> AsyncIterator[None]:
    """The service runs while the test's body does, and stops with it."""
    async with asyncio.TaskGroup() as group:
        group.create_task(run_service(service, bus))
        async with asyncio.timeout(seconds):
            yield
        bus.stopping.set()


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """What the condition gives, as soon as it gives anything; the caller bounds the time."""
    while not (found := await condition()):
        await asyncio.sleep(0.02)
    return found
