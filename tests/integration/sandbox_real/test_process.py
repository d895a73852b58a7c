"""Programs of a cluster as children: brought back when they die, stopped by their id, however stubborn."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.real.process import Process
from tests.integration.sandbox_cluster.conftest import eventually

STUBBORN = "trap '' TERM; echo up >&2; while :; do sleep 1; done"
DEAF_TO_US = "echo up >&2; exec sleep 60"


@pytest.fixture
async def process(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Process]:
    words = ["/bin/sh", "-c", request.param]
    made = Process("one", words, environment={"PATH": os.defpath}, log=tmp_path / "log", patience_s=0.2)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


def runs(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("process", [DEAF_TO_US], indirect=True)
async def test_a_program_that_dies_comes_back_as_another_process(process: Process) -> None:
    first = process.pid
    assert runs(first)
    process.kill()
    await eventually(lambda: process.pid not in {None, first})
    assert not runs(first)


@pytest.mark.parametrize("process", [STUBBORN], indirect=True)
async def test_a_program_that_ignores_the_request_is_ended_and_stays_so(process: Process) -> None:
    await eventually(lambda: "up" in process.last_words())
    first = process.pid
    await process.stop()
    assert process.pid is None
    assert not runs(first)


@pytest.mark.parametrize("process", [DEAF_TO_US], indirect=True)
async def test_starting_what_runs_and_stopping_what_does_not_changes_nothing(process: Process) -> None:
    first = process.pid
    process.start()
    assert process.pid == first
    await process.stop()
    await process.stop()
    assert process.pid is None
