"""Intake on a real server, in the test's own process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from bus import Answer, Bus, run_service
from contracts.questions import Asker
from intake.app import intake
from intake.settings import Settings
from tests.conftest import BusOf

OPERATOR = Asker(actor="olga", owner="omantel", roles=("operator",))
RIVAL = Asker(actor="rita", owner="rival", roles=("operator",))
T = TypeVar("T")


async def until(condition: Callable[[], Awaitable[T | None]], seconds: float = 60) -> T:
    """The condition's answer as soon as it is true."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
        return found


@contextlib.asynccontextmanager
async def running(bus: Bus, **changes: object) -> AsyncIterator[Bus]:
    """Intake with some settings changed, once it answers."""
    settings = Settings.model_validate(
        bus.settings.model_dump(exclude={"uvloop"}) | {"door_owner": "omantel"} | changes
    )

    async def answers() -> bool:
        with contextlib.suppress(Answer):
            return bool(await bus.presence.replicas())
        return False

    async with intake(settings, bus) as service, asyncio.TaskGroup() as group:
        group.create_task(run_service(service, bus))
        await until(answers)
        yield bus
        bus.stopping.set()


@pytest.fixture
async def running_intake(bus_of: BusOf) -> AsyncIterator[Bus]:
    """Its bus."""
    async with running(await bus_of("intake")) as bus:
        yield bus
