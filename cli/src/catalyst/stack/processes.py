"""Processes under one roof: started in order, watched, started again when they die, ended together.

A crash is ordinary: the supervisor starts the program again at once, then with growing pauses while it keeps dying. An
end that was asked for (``stop``) is not a crash. Output goes to one file per program. What it started ends with it,
even when it is killed itself.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bus.lifeline import tied

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 20.0
_LAST_LINES = 8
_STARTS_IN_VAIN = 3


class DidNotStart(RuntimeError):
    """A program did not become ready; its last words are in the message."""


@dataclass(frozen=True)
class Program:
    """What to run and how to know that it is ready."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_within_s: float = 30.0
    grace_s: float = 30.0
    """Seconds between asking it to end and insisting."""


@dataclass
class _Running:
    program: Program
    process: asyncio.subprocess.Process
    watcher: asyncio.Task[None] | None = None
    wanted: bool = True
    starts: int = 1
    since: float = field(default=0.0)


class Supervisor:
    """Owns the processes that it started, and only those."""

    def __init__(self, logs: Path, *, tell: Callable[[str], None] = lambda _line: None) -> None:
        self._logs = logs
        self._tell = tell
        self._running: dict[str, _Running] = {}

    async def start(self, program: Program) -> None:
        """Start and wait until it is ready; DidNotStart says why not."""
        running = _Running(program, await self._spawn(program), since=asyncio.get_running_loop().time())
        self._running[program.name] = running
        running.watcher = asyncio.get_running_loop().create_task(self._watch(running), name=f"watch {program.name}")
        if program.ready is not None:
            await self._until_ready(running)

    async def _until_ready(self, running: _Running) -> None:
        program = running.program
        deadline = asyncio.get_running_loop().time() + program.ready_within_s
        while asyncio.get_running_loop().time() < deadline:
            if program.ready is None or await program.ready():
                return
            if running.starts > _STARTS_IN_VAIN:
                break
            await asyncio.sleep(0.05)
        words = " | ".join(self.last_words(program.name))
        why = "ended again and again" if running.starts > _STARTS_IN_VAIN else "took too long"
        raise DidNotStart(f"{program.name} did not become ready: it {why}. Its last words: {words}")

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log_of(program.name).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *tied(program.argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(program.environment),
                start_new_session=True,
            )

    async def _watch(self, running: _Running) -> None:
        pause_s = _FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while True:
            status = await running.process.wait()
            if not running.wanted:
                return
            if loop.time() - running.since > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            how = f"signal {-status}" if status < 0 else f"status {status}"
            self._tell(f"{running.program.name} ended with {how}; started again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            running.process = await self._spawn(running.program)
            running.since = loop.time()
            running.starts += 1

    def log_of(self, name: str) -> Path:
        """Where a program's output goes."""
        return self._logs / f"{name}.log"

    def last_words(self, name: str) -> list[str]:
        """The last lines that a program wrote."""
        file = self.log_of(name)
        return file.read_text(errors="replace").splitlines()[-_LAST_LINES:] if file.exists() else ["(nothing)"]

    def pid(self, name: str) -> int:
        """The present process of a program."""
        return self._running[name].process.pid

    def starts(self, name: str) -> int:
        """How often it was started."""
        return self._running[name].starts

    @property
    def names(self) -> list[str]:
        """What runs, in the order of starting."""
        return list(self._running)

    def kill(self, name: str) -> None:
        """A crash: SIGKILL to its process; it is started again."""
        with contextlib.suppress(ProcessLookupError):
            self._running[name].process.kill()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program's process."""
        with contextlib.suppress(ProcessLookupError):
            self._running[name].process.send_signal(number)

    async def stop(self, name: str) -> None:
        """Ask it to end, insist after its grace; it is not started again."""
        running = self._running.pop(name)
        running.wanted = False
        await _end(running)
        if running.watcher is not None:
            running.watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running.watcher

    async def stop_all(self) -> None:
        """End everything, the last started first."""
        for name in reversed(self.names):
            await self.stop(name)

    async def stop_together(self, names: Sequence[str]) -> None:
        """End these at the same time."""
        async with asyncio.TaskGroup() as group:
            for name in names:
                if name in self._running:
                    group.create_task(self.stop(name))


async def _end(running: _Running) -> None:
    process = running.process
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), running.program.grace_s)
    except TimeoutError:
        # Its whole session, so that no child of it outlives the roof.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
