"""What standing still costs: leases that are held, a service that has nothing to do."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from bench._ground import Ground
from bench._report import Figure, tell

LEASES = 1000
HELD_S = 10.0
IDLE_S = 10.0
REPEATS = 3


async def leases(on: Ground) -> AsyncIterator[Figure]:
    """A thousand leases in one process, with the times of production."""
    tell(f"holding {LEASES} leases")
    runner = await on.bus("tofu-runner")
    async with AsyncExitStack() as stack:
        held = [
            await stack.enter_async_context(runner.leases.hold(f"bench{number}_omani_works"))
            for number in range(LEASES)
        ]
        shares = []
        for _ in range(REPEATS):
            cpu, started = time.process_time(), time.perf_counter()
            await asyncio.sleep(HELD_S)
            shares.append(100 * (time.process_time() - cpu) / (time.perf_counter() - started))
        assert all(lease.sure for lease in held)
        tell("giving them back")
    yield Figure.of(f"{LEASES:,} leases, held and renewed", shares, unit="% of a core", goal=15)


async def idle(on: Ground) -> AsyncIterator[Figure]:
    """Intake, a service without a vendor client, that has nothing to do."""
    tell("watching an idle service")
    environment = os.environ | on.server.environment("intake") | {"CATALYST_LOG_LEVEL": "INFO"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "intake", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            while b'"started"' not in await process.stderr.readline():
                continue
        await asyncio.sleep(2)
        shares = []
        for _ in range(REPEATS):
            cpu, started = cpu_s(process.pid), time.perf_counter()
            await asyncio.sleep(IDLE_S)
            shares.append(100 * (cpu_s(process.pid) - cpu) / (time.perf_counter() - started))
        resident = _resident_mib(process.pid)
    finally:
        process.terminate()
        await process.communicate()
    yield Figure(name="idle service, resident", value=resident, unit="MiB", goal=80, note="intake")
    yield Figure.of("idle service, processor", shares, unit="% of a core", goal=1, note="intake")


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
