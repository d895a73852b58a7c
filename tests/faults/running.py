"""Workers as processes, and what they and the stream say of them."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from bus import Bus, TryAgain
from bus.server import NatsServer
from contracts import About, History
from tests.unit.intake.test_life import REQUESTED

STEPS = (
    "before-handler",
    "in-handler",
    "before-publish-1",
    "before-publish-2",
    "before-publish-3",
    "before-ack",
)
FOLLOWING = ("dns.reserved", "dns.published", "dns.delegated")
BOUND_S = 120.0


@dataclass(frozen=True)
class Line:
    """What a worker noted. ``at`` is the machine's monotonic clock, in seconds."""

    replica: str
    at: float
    what: str
    sovereign: str
    token: int


@dataclass
class Workers:
    """Starts worker processes on one server and ends what is left of them."""

    folder: Path
    stack: AsyncExitStack
    running: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def lines(self) -> list[Line]:
        """Everything noted so far, in the order of writing."""
        if not self.ledger.exists():
            return []
        rows = [line.split() for line in self.ledger.read_text().splitlines()]
        return [Line(row[0], float(row[1]), row[2], row[3], int(row[4]) if len(row) > 4 else 0) for row in rows]

    async def start(
        self, server: NatsServer, service: str, replica: str, *, url: str | None = None, **settings: object
    ) -> asyncio.subprocess.Process:
        """A worker that has begun to pull; ``settings`` are WORKER_ or CATALYST_ variables in lower case."""
        environment = os.environ | server.environment(service)
        environment |= {"WORKER_SERVICE": service, "WORKER_LEDGER": str(self.ledger), "CATALYST_REPLICA": replica}
        environment |= {"CATALYST_NATS_URL": url} if url else {}
        environment |= {key.upper(): str(value) for key, value in settings.items()}
        log_file = self.folder / f"{service}-{replica}.log"
        with log_file.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.faults.worker", env=environment, stdout=output, stderr=output
            )
        self.running.append(process)

        async def started() -> bool:
            assert process.returncode is None, log_file.read_text()[-2000:]
            return '"message": "started"' in log_file.read_text()

        await until(started)
        return process

    async def end(self) -> None:
        """Ask all to stop, those that are stopped by a signal too."""
        for process in self.running:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.running:
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def workers_in(folder: Path) -> AsyncIterator[Workers]:
    """Worker processes with their ledger in this folder."""
    async with AsyncExitStack() as stack:
        found = Workers(folder, stack)
        try:
            yield found
        finally:
            await found.end()


async def until(condition: Callable[[], Awaitable[Any]], *, seconds: float = BOUND_S) -> Any:
    """What the condition gives, as soon as it gives anything; TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.05)
    return found


async def redeliver_soon(admin: Bus, consumer: str, *, ack_wait_s: int = 2) -> None:
    """Let a dead worker's messages come again after seconds, not half a minute."""
    info = await admin.connection.api(f"$JS.API.CONSUMER.INFO.PROV.{consumer}")
    body = {"stream_name": "PROV", "config": info["config"] | {"ack_wait": ack_wait_s * 10**9}}
    answer = await admin.connection.api(f"$JS.API.CONSUMER.CREATE.PROV.{consumer}", body)
    assert "error" not in answer, answer


def about(name: str) -> About:
    """One Sovereign."""
    return About(sovereign=f"{name}_omani_works", owner="acme", life=1, run=1)


async def request(intake: Bus, name: str) -> int:
    """Say ``sovereign.requested``, again until its receipt came; the sequence that was acknowledged."""
    whom, cause = about(name), uuid4()
    async with asyncio.timeout(BOUND_S):
        while True:
            try:
                read = await intake.journal.append([REQUESTED], whom, cause=cause, after=History(whom.sovereign))
            except (TryAgain, OSError):
                await asyncio.sleep(0.2)
            else:
                return read.recorded[0].sequence


async def said_of(bus: Bus, name: str) -> Counter[str]:
    """How often each fact was said of a Sovereign."""
    history = await bus.journal.history(about(name).sovereign)
    return Counter(item.event.data.fact for item in history.recorded)


async def all_followed(bus: Bus, names: Iterable[str], *, last: str = FOLLOWING[-1]) -> None:
    """Wait until the last fact was said of each."""
    wanted = {about(name).sovereign for name in names}

    async def reached() -> bool:
        found = {item.event.subject async for item in bus.journal.everything(f"{last}.*")}
        return wanted <= found

    await until(reached)
