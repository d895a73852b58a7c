"""The one line end to end, through real processes: what `make demo` shows is what is tested."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from catalyst.demo.scenarios import SCENARIOS
from catalyst.stack.stack import Options, Stack
from tests.scenario import play_together

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

HARMLESS = [name for name, scenario in SCENARIOS.items() if not scenario.disturbs and not scenario.overrides]


async def test_the_scenarios_end_as_they_promise_side_by_side_and_leave_no_cloud_token_anywhere() -> None:
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        async with Stack(Options(Path(folder))) as stack:
            failed, tokens = await play_together(HARMLESS, stack)
            processes = [stack.supervisor.pid(name) for name in stack.supervisor.names]
            exposed = await asyncio.to_thread(
                _places_with, Path(folder), processes, [token.encode() for token in tokens]
            )
    assert failed == {}
    assert exposed == []


def _places_with(folder: Path, processes: list[int], tokens: list[bytes]) -> list[str]:
    # The sandbox plays the cloud, and the cloud knows its customers' tokens.
    files = [file for file in folder.rglob("*") if file.is_file() and folder / "sandbox" not in file.parents]
    listings = [Path(f"/proc/{pid}/{what}") for pid in processes for what in ("environ", "cmdline")]
    places = [place for place in (*files, *listings) if place.exists()]
    return [str(place) for place in places if any(token in place.read_bytes() for token in tokens)]
