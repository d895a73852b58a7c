"""`catalyst up`: a small installation under one process, scaled while it runs, started again where it was."""

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bus.server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
START_S = 120.0


@asynccontextmanager
async def up(folder: Path, *more: str) -> AsyncIterator[Process]:
    ports = ["--nats-port", str(free_port()), "--console-port", str(free_port())]
    words = ["-m", "catalyst", "up", "--sandbox", "--state", str(folder), *ports, *more]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE, stderr=STDOUT)
    try:
        await reads(process, "up until Ctrl-C")
        yield process
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            said = (await process.stdout.read()).decode()
            assert await process.wait() == 0, said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def reads(process: Process, words: str) -> str:
    said = ""
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        while words not in said:
            line = await process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line.decode()
    return said


async def catalyst(folder: Path, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "catalyst", *words),
        env={**os.environ, "CATALYST_STATE": str(folder)},
        stdout=PIPE,
        stderr=STDOUT,
    )
    async with asyncio.timeout(START_S):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def runs(folder: Path, *words: str) -> dict[str, Any]:
    status, said = await catalyst(folder, "scale", *words, "--json")
    assert status == 0, said
    return {row["name"]: row for row in json.loads(said)}


async def test_a_small_installation_scales_heals_and_starts_again_where_it_was() -> None:
    with tempfile.TemporaryDirectory(prefix="cz-") as name:
        folder = Path(name) / "state"
        async with up(folder, "--replicas", "tofu-runner=2") as process:
            now = await runs(folder)
            assert {"tofu-runner", "tofu-runner-2"} <= set(now)
            assert {"tofu-runner-2", "tofu-runner-3"} <= set(await runs(folder, "tofu-runner=3"))
            left = await runs(folder, "tofu-runner=1")
            assert left["tofu-runner"]["pid"] == now["tofu-runner"]["pid"], "the first was left alone"
            assert not {"tofu-runner-2", "tofu-runner-3"} & set(left)
            os.kill(left["intake"]["pid"], signal.SIGKILL)
            assert "intake ended with signal 9" in await reads(process, "started again")
            status, said = await catalyst(folder, "scale", "gateway=2")
            assert status == 2
            assert "these can be scaled: intake, tofu-runner, flux-watcher" in said
        keys = (folder / "keys" / "cli.nk").read_text()
        assert not list(folder.glob("*.sock"))
        status, said = await catalyst(folder, "scale")
        assert status == 3
        assert re.search(r"nothing runs in .*\n  → start it: catalyst up", said)
        async with up(folder):
            assert (folder / "keys" / "cli.nk").read_text() == keys
            assert "tofu-runner-2" not in await runs(folder)


async def test_without_a_setting_that_the_real_cloud_needs_it_says_which_and_ends() -> None:
    with tempfile.TemporaryDirectory(prefix="cz-") as name:
        ports = ["--nats-port", str(free_port()), "--console-port", str(free_port())]
        status, said = await catalyst(Path(name), "up", "--state", name, *ports)
    assert status == 4
    assert "settings are wrong" in said
    assert "Traceback" not in said
