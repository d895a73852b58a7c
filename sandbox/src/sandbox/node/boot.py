"""One boot: the script of the user data as a process tree of its own, and the end of that tree.

The tree is a session, not only a process group, because `timeout` in the boot makes groups; whatever is left of the
session when the boot ends, or the server is switched off, is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sandbox.node.server import Server
from sandbox.node.stand_ins import Programs

_ROUNDS: Final = 50
_BETWEEN_ROUNDS_S: Final = 0.02


class CannotRun(Exception):
    """A command of the user data that a simulated server cannot run, with the reason."""


def command_line(server: Server, programs: Programs, command: Sequence[str]) -> list[str]:
    """A command of the server as one of this computer: programs from the two folders, other paths below its root."""
    name = command[0].rpartition("/")[2]
    program = programs.program(name)
    if program is None:
        raise CannotRun(f"{command[0]}: not among the programs of a simulated server")
    if name == "sh" and "-c" in command:
        raise CannotRun("a shell line of runcmd: its paths would be those of this computer; only lists are run")
    line = [str(program)]
    for argument in command[1:]:
        local = server.path(argument) if argument.startswith("/") else None
        line.append(str(local) if local is not None and local.exists() else argument)
    return line


async def run(server: Server, programs: Programs, line: Sequence[str], sandbox_url: str, stage: str = "") -> int:
    """Run it to its end, or to the end of the server; its exit status (negative: the signal that ended it)."""
    environment = {
        "PATH": programs.path,
        "ROOT": str(server.root),
        "HOME": str(server.home),
        "TMPDIR": str(server.root / "tmp"),
        "LANG": "C.UTF-8",
        "CATALYST_SANDBOX_URL": sandbox_url,
        "CATALYST_SANDBOX_HEADER": str(server.home / "header"),
    }
    if stage:
        environment["CATALYST_STAGE"] = stage
    console = await asyncio.to_thread(_append, server.console)
    server.still.clear()
    try:
        process = await asyncio.create_subprocess_exec(
            *line,
            env=environment,
            cwd=server.root,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=console,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(console)
    try:
        async with asyncio.TaskGroup() as watched:
            ended = watched.create_task(process.wait())
            off = watched.create_task(server.gone.wait())
            await asyncio.wait({ended, off}, return_when=asyncio.FIRST_COMPLETED)
            off.cancel()
            await _end(process.pid)
    finally:
        await _end(process.pid)
        server.still.set()
    return ended.result()


def _append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


async def _end(session: int) -> None:
    """Kill what is left of the session; again, since a process may just be forking."""
    for _ in range(_ROUNDS):
        left = await asyncio.to_thread(_members, session)
        if not left:
            return
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        await asyncio.sleep(_BETWEEN_ROUNDS_S)


def _members(session: int) -> list[int]:
    """Living processes of a session."""
    members = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            stat = Path(entry.path, "stat").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        state, _, _, of = stat.rpartition(")")[2].split()[:4]
        if of == str(session) and state != "Z":
            members.append(int(entry.name))
    return members
