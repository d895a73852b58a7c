"""How a service runs: build the real world, bind consumers, answer questions, drain on SIGTERM.

``run(build, Settings)`` is the whole ``main`` of a service. The order at SIGTERM: stop pulling, finish or hand back
what is in hand, say goodbye, close. A connection that closed for good ends the process with an error: the supervisor
starts a fresh one.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop
from aiohttp import web
from pydantic import ValidationError

from bus.brake import Brake
from bus.bus import Bus, connect
from bus.delivery import Deliveries
from bus.health import Check, Health, health_app
from bus.log import configure_logging
from bus.pull import Puller
from bus.questions import serve
from bus.routing import Answering, DoorRoute, Route, TimerRoute
from bus.sampling import Sampler
from bus.settings import BusSettings
from contracts.catalogue import ENTRIES
from contracts.topology import consumers

log = logging.getLogger(__name__)

S = TypeVar("S", bound=BusSettings)


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a service is: routes, answers, background work, checks."""

    name: str
    routes: Sequence[Route | TimerRoute | DoorRoute] = ()
    answers: Sequence[Answering] = ()
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)
    slots: int = 16
    """Messages of one role in hand at a time, per replica."""


class ConnectionClosed(RuntimeError):
    """The client gave up on the bus; a new process is the cure."""


def run(build: Callable[[S, Bus], AbstractAsyncContextManager[Service]], settings_type: type[S], *, name: str) -> None:
    """Run a service until SIGTERM; the process's ``main``."""
    try:
        settings = settings_type()
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        sys.exit(f"{name}: settings are wrong: {fields}")
    configure_logging(name, settings.replica, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if settings.uvloop else None) as runner:
        runner.run(_main(build, settings, name))


async def _main(build: Callable[[S, Bus], AbstractAsyncContextManager[Service]], settings: S, name: str) -> None:
    async with connect(settings, name) as bus:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, bus.stopping.set)
        async with build(settings, bus) as service:
            await run_service(service, bus)
    log.info("stopped", extra={"action": "stopped"})


async def run_service(service: Service, bus: Bus) -> None:
    """Run until ``bus.stopping``; used by ``run`` and by tests that host a service in their own process."""
    check_routes(service)
    brake = Brake(errors=bus.settings.brake_errors, pause_s=bus.settings.brake_pause_s)
    bus.metrics.brake_engaged.set_function(lambda: float(brake.engaged))
    deliveries = Deliveries(bus.connection, bus.journal, bus.timers, bus.metrics, service.routes, brake=brake)
    wanted = consumers_of(service)
    mine = [row for row in consumers() if row.name in wanted]
    pullers = [
        Puller(bus.connection, row, deliveries.deliver, slots=service.slots, metrics=bus.metrics, brake=brake)
        for row in mine
    ]
    sampler = Sampler(bus.connection, bus.metrics, bus.room, mine)
    checks = {"brake": brake.check, "consumers": sampler.check, **service.checks}
    health = Health(bus.connection, bus.metrics, checks)
    site, port = await _serve_health(health, bus)
    micro = await serve(bus.connection, service.name, service.answers)
    try:
        await bus.presence.announce()
        log.info("started", extra={"action": "started", "health_port": port, "consumers": sorted(wanted)})
        async with asyncio.TaskGroup() as group:
            work = [
                health.watch(),
                sampler.run(),
                bus.presence.keep(),
                _die_when_closed(bus),
                _repull_on_reconnect(bus, pullers),
            ]
            owned = [group.create_task(item) for item in (*work, *(start() for start in service.background))]
            await _pull_until_stopped(pullers, bus)
            for task in owned:
                task.cancel()
    finally:
        if bus.connection.client.is_connected:
            with suppress(Exception):  # best effort: the keys expire and the endpoints vanish with the connection
                await bus.presence.leave()
                await micro.stop()
        await site.cleanup()


async def _pull_until_stopped(pullers: list[Puller], bus: Bus) -> None:
    async with asyncio.TaskGroup() as group:
        for puller in pullers:
            group.create_task(puller.run(bus.stopping, grace_s=bus.settings.grace_s))
        await bus.stopping.wait()
        log.info("draining", extra={"action": "draining", "in_hand": sum(p.in_hand for p in pullers)})


async def _die_when_closed(bus: Bus) -> None:
    await bus.connection.closed.wait()
    raise ConnectionClosed("the connection to the bus is closed for good")


async def _repull_on_reconnect(bus: Bus, pullers: list[Puller]) -> None:
    """Requests outstanding at a disconnect are lost; ask again as soon as the server's session is another."""
    known = bus.connection.client.stats["reconnects"]
    while True:
        await asyncio.sleep(0.2)
        now = bus.connection.client.stats["reconnects"]
        if now != known:
            known = now
            for puller in pullers:
                puller.reconnected()


async def _serve_health(health: Health, bus: Bus) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(health_app(health, bus.metrics), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, bus.settings.health_host, bus.settings.health_port)
    await site.start()
    return runner, int(runner.addresses[0][1])


def consumers_of(service: Service) -> set[str]:
    """The durable consumers that a service's routes need."""
    names = set()
    for route in service.routes:
        match route:
            case Route():
                names |= {h.consumer for h in ENTRIES[route.fact.fact].heard_by if h.service == service.name}
            case TimerRoute():
                names.add(f"{service.name}-timers")
            case DoorRoute():
                names.add(f"{service.name}-door")
    return names | ({f"{service.name}-replay"} if names else set())


def check_routes(service: Service) -> None:
    """A service hears exactly what the catalogue says; ValueError names what is missing or too much."""
    heard = {entry.fact.fact for entry in ENTRIES.values() if any(h.service == service.name for h in entry.heard_by)}
    routed = {route.fact.fact for route in service.routes if isinstance(route, Route)}
    if heard != routed:
        missing, extra = sorted(heard - routed), sorted(routed - heard)
        raise ValueError(
            f"{service.name}: no route for {missing or 'nothing'}; not in the catalogue: {extra or 'nothing'}"
        )
