"""Scenarios of the demo, played by tests: on a stack of its own, or several side by side on one."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from catalyst.demo.play import playing
from catalyst.demo.scenarios import SCENARIOS
from catalyst.stack.stack import Options, Stack

AT_ONCE = 4
"""Scenarios side by side: each wants about one core while OpenTofu and the boots work."""


@dataclass
class Played:
    """What a scenario said on its way, and what ended it early."""

    said: list[str] = field(default_factory=list)
    error: Exception | None = None


@asynccontextmanager
async def stack_for(scenario: str = "") -> AsyncIterator[Stack]:
    """A stack, with the settings of a scenario where it has some."""
    overrides = SCENARIOS[scenario].overrides if scenario else {}
    # A short path: the sockets below it have a limit on their names.
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        async with Stack(Options(Path(folder), overrides=overrides)) as stack:
            yield stack


async def play(name: str) -> list[str]:
    """Play it on a stack of its own; what it said on the way. Fails as the scenario's own checks fail."""
    said: list[str] = []
    async with stack_for(name) as stack, playing(stack, said.append) as play_:
        await SCENARIOS[name].play(play_)
    return said


async def play_all(names: Iterable[str]) -> dict[str, Played]:
    """Play these side by side, each in a cloud project of its own; the end of one is not the end of the others.

    One stack serves them all, but for those that need settings of their own.
    """
    places = asyncio.Semaphore(AT_ONCE)
    played = {name: Played() for name in names}

    async def one(name: str, shared: Stack) -> None:
        async with AsyncExitStack() as around:
            await around.enter_async_context(places)
            stack = await around.enter_async_context(stack_for(name)) if SCENARIOS[name].overrides else shared
            play_ = await around.enter_async_context(playing(stack, played[name].said.append, project=name))
            try:
                await SCENARIOS[name].play(play_)
            except Exception as error:  # noqa: BLE001 - raised again by the test of this scenario
                played[name].error = error

    async with stack_for() as shared, asyncio.TaskGroup() as group:
        for name in played:
            group.create_task(one(name, shared))
    return played
