"""A scenario of the demo, played by a test on a stack of its own."""

import tempfile
from pathlib import Path

from catalyst.demo.play import playing
from catalyst.demo.scenarios import SCENARIOS
from catalyst.stack.stack import Options, Stack


async def play(name: str) -> list[str]:
    """Play it; what it said on the way. Fails as the scenario's own checks fail."""
    said: list[str] = []
    scenario = SCENARIOS[name]
    # A short path: the sockets below it have a limit on their names.
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        options = Options(Path(folder), overrides=scenario.overrides)
        async with Stack(options, tell=said.append) as stack, playing(stack, said.append) as play_:
            await scenario.play(play_)
    return said
