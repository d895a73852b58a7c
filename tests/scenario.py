"""Scenarios of the demo, played by tests: one on a stack of its own, or many side by side on one."""

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path

from catalyst.demo.play import OutcomeWrong, playing
from catalyst.demo.scenarios import SCENARIOS
from catalyst.stack.stack import Options, Stack


async def play(name: str) -> list[str]:
    """Play it; what it said on the way. Fails as the scenario's own checks fail."""
    said: list[str] = []
    scenario = SCENARIOS[name]
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        options = Options(Path(folder), overrides=scenario.overrides)
        async with Stack(options, tell=said.append) as stack, playing(stack, said.append) as play_:
            await scenario.play(play_)
    return said


async def play_together(names: Iterable[str], stack: Stack) -> tuple[dict[str, str], list[str]]:
    """Play them side by side, each in a cloud project of its own: what did not end as promised, and their tokens."""
    failed: dict[str, str] = {}
    tokens: list[str] = []

    async def one(name: str) -> None:
        said: list[str] = []
        async with playing(stack, said.append, project=name) as play_:
            tokens.append(play_.token)
            try:
                await SCENARIOS[name].play(play_)
            except OutcomeWrong as wrong:
                failed[name] = f"{wrong}, after: {'; '.join(said[-5:])}"
        if name not in failed and not any("✓" in line for line in said):
            failed[name] = "it checked nothing"

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(name))
    return failed, tokens
