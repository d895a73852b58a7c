"""A supervisor that is killed leaves nothing running."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from catalyst.stack.processes import Program, Supervisor

CHILD = "import pathlib, signal, sys; pathlib.Path(sys.argv[1]).touch(); signal.pause()"

async def main() -> None:
    folder = Path(sys.argv[1])
    there = folder / "there"

    async def ready() -> bool:
        return there.exists()

    supervisor = Supervisor(folder)
    await supervisor.start(Program("child", [sys.executable, "-c", CHILD, str(there)], {}, ready=ready))
    print(supervisor.pid("child"), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux' own (prctl(2))")
async def test_what_a_killed_supervisor_had_started_ends_with_it(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISOR, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), 60))
    assert _runs(child)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(60):
        while _runs(child):
            await asyncio.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether it is there and no zombie that only waits to be collected."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
