"""Every command of the README is run as it stands there, beside a demo on a terminal.

A block that begins with `# needs` wants an engine or a cloud account and is left out, and so is `make test`, which runs
this. `make demo` is what the other commands talk to.
"""

import asyncio
import contextlib
import os
import pty
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
DEMO, TESTS = "make demo", "make test"
GO_ON = {"nats sub": "Received on", "catalyst up": "up until Ctrl-C"}
"""Commands that end when they are told to, and what they print once they do what they are for."""
WITHIN_S = 400.0


def commands() -> Iterator[str]:
    """The README's indented lines, but those of blocks that need more than this machine."""
    left_out = before_blank = False
    for line in (ROOT / "README.md").read_text().splitlines():
        if not line.startswith("    "):
            left_out, before_blank = False, True
            continue
        if before_blank and line.strip().startswith("# needs"):
            left_out = True
        before_blank = False
        command = line.strip()
        if not left_out and command.split()[0] in {"make", "python3", ".", "nats", "catalyst"}:
            yield command


@asynccontextmanager
async def on_a_terminal(command: str) -> AsyncIterator[tuple[Process, list[str]]]:
    """Run it as somebody at a terminal does; what it prints is collected."""
    ours, its = pty.openpty()
    said: list[str] = []
    process = await asyncio.create_subprocess_shell(
        command,
        cwd=ROOT,
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(its)
    loop = asyncio.get_running_loop()

    def take() -> None:
        try:
            said.append(os.read(ours, 65536).decode(errors="replace"))
        except OSError:
            loop.remove_reader(ours)

    loop.add_reader(ours, take)
    try:
        yield process, said
    finally:
        await ended(process)
        loop.remove_reader(ours)
        os.close(ours)


async def ended(process: Process) -> None:
    """Ctrl-C, then insist."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        await asyncio.wait_for(process.wait(), 90)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def until_said(words: str, said: list[str], process: Process) -> None:
    async with asyncio.timeout(WITHIN_S):
        while words not in "".join(said):
            assert process.returncode is None, "".join(said)[-3000:]
            await asyncio.sleep(0.1)


def script(command: str, prelude: list[str]) -> tuple[str, str, str]:
    return "bash", "-c", "\n".join(["set -euo pipefail", *prelude, command])


async def run(command: str, prelude: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *script(command, prelude), cwd=ROOT, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            said, _ = await process.communicate()
    finally:
        await ended(process)
    assert process.returncode == 0, f"{command}\n{said.decode()[-3000:]}"


async def go_on(command: str, prelude: list[str], words: str) -> None:
    """Run it until it has printed these words; AssertionError when it never does."""
    process = await asyncio.create_subprocess_exec(
        *script(command, prelude), cwd=ROOT, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    assert process.stdout is not None
    said = b""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_S):
                while words.encode() not in said and (chunk := await process.stdout.read(65536)):
                    said += chunk
    finally:
        await ended(process)
    assert words.encode() in said, f"{command}\n{said.decode()[-3000:]}"


async def test_every_command_of_the_readme_does_what_it_says() -> None:
    found = list(commands())
    assert found[:2] == [DEMO, TESTS]
    assert {command.split()[0] for command in found} == {"make", "python3", ".", "nats", "catalyst"}
    prelude: list[str] = []
    async with on_a_terminal(DEMO) as (demo, said):
        await until_said("Everything stays up until Ctrl-C", said, demo)
        async with asyncio.TaskGroup() as beside:
            for command in found[2:]:
                words = next((words for start, words in GO_ON.items() if command.startswith(start)), None)
                if command.startswith(". "):
                    prelude.append(command)
                elif words is not None:
                    beside.create_task(go_on(command, prelude, words))
                else:
                    await run(command, prelude)
    assert "Stopping." in "".join(said)
