"""The one line end to end, through real processes: what `make demo` shows is what is tested."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from catalyst.demo.play import playing
from catalyst.demo.scenarios import SCENARIOS
from catalyst.stack.stack import Options, Stack
from tests.scenario import play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if not scenario.disturbs])
async def test_the_scenario_ends_as_it_promises(name: str) -> None:
    said = await play(name)
    assert any("✓" in line for line in said), said


async def test_the_cloud_token_is_in_no_file_stream_or_environment_of_the_stack() -> None:
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        async with Stack(Options(Path(folder))) as stack, playing(stack, lambda _line: None) as play_:
            await SCENARIOS["single"].play(play_)
            token = stack.token.encode()
            processes = [stack.supervisor.pid(name) for name in stack.supervisor.names]
            exposed = await asyncio.to_thread(_places_with, Path(folder), processes, token)
    assert exposed == []


def _places_with(folder: Path, processes: list[int], token: bytes) -> list[str]:
    # The sandbox plays the cloud, and the cloud knows its customers' tokens.
    files = [file for file in folder.rglob("*") if file.is_file() and folder / "sandbox" not in file.parents]
    listings = [Path(f"/proc/{pid}/{what}") for pid in processes for what in ("environ", "cmdline")]
    return [str(place) for place in (*files, *listings) if place.exists() and token in place.read_bytes()]
