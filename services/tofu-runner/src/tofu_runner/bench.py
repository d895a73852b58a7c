"""One worker's bench: everything that a single piece of work on one Sovereign has in hand while it holds the lease.

It opens the loopback servers and the workspace, runs OpenTofu step by step with its lines narrated as facts, and
watches meanwhile for whatever has to stop it: a cancel, a deadline, the service's shutdown, a lease that is not
sure any more. Stopping is always the same: one signal to OpenTofu, then wait for it to write its state and end.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import ClientSession

from bus import Bus, Chain, Conflict, Lease, LeaseLost, TryAgain
from contracts.errors import Trouble
from contracts.event import About, Fact
from contracts.kit import Kit
from tofu_runner import classify, standing
from tofu_runner.backend import Backend
from tofu_runner.budget import Budget
from tofu_runner.cloud import PassThrough
from tofu_runner.inventory import Cloud
from tofu_runner.keep import Keep
from tofu_runner.lines import Hook, Line, Outputs
from tofu_runner.loopback import served
from tofu_runner.mutations import Mutations
from tofu_runner.progress import Tally
from tofu_runner.settings import Settings
from tofu_runner.stateversions import StateRefused, StateVersions
from tofu_runner.tofu import Finished, Loopback, OnLine, Tofu, Workspace
from tofu_runner.tokens import loopback_credential
from tofu_runner.upstream import Upstream

log = logging.getLogger(__name__)

_QUEUED = 10_000
_CALLS_PER_RESOURCE = 8
"""About what one resource under way takes in calls."""


class Stopped(Exception):
    """The work was stopped on request; the state is kept."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.resources = 0
        """How many resources the state holds."""


class Failed(Exception):
    """OpenTofu or the cloud failed, classified; most telling trouble first."""

    def __init__(self, *troubles: Trouble) -> None:
        super().__init__("; ".join(f"{t.code} on {t.on}" for t in troubles))
        self.troubles = troubles


@dataclass
class Stop:
    """Whether this work has to stop, and why; the first reason stays."""

    run: int
    event: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = ""

    def ask(self, why: str) -> None:
        """Ask for a stop."""
        if not self.event.is_set():
            self.why = why
            self.event.set()


@dataclass
class World:
    """What the service is made of."""

    bus: Bus
    settings: Settings
    session: ClientSession
    tofu: Tofu
    keep: Keep
    kit: Kit
    places: asyncio.Semaphore
    working: dict[str, Stop] = field(default_factory=dict)
    """The works of this replica by Sovereign, so that a cancel which arrives here is heard at once."""


class Bench:
    """See the module."""

    def __init__(
        self,
        world: World,
        chain: Chain,
        lease: Lease,
        *,
        stop: Stop,
        versions: StateVersions,
        mutations: Mutations,
        passing: PassThrough,
        backend: Backend,
        cloud: Cloud,
        workspace: Workspace,
        hidden: frozenset[str],
    ) -> None:
        self.world, self.chain, self.lease = world, chain, lease
        self.stop = stop
        self.versions, self.mutations, self.passing, self.backend = versions, mutations, passing, backend
        self.cloud, self.workspace = cloud, workspace
        self.hidden = hidden
        """Values that must never be told."""
        self.outputs: Outputs | None = None
        self.tally = Tally(0, lease.token)
        self.listens = True
        """Whether an operator's cancel stops this work; a destroy goes on."""
        self._facts: asyncio.Queue[Fact] = asyncio.Queue(_QUEUED)

    @property
    def about(self) -> About:
        """Whom and which run this work is for."""
        return self.chain.about

    async def say(self, *facts: Fact) -> None:
        """Say facts under the lease."""
        self.lease.check()
        await self.chain.say(*facts)

    async def step(self, what: str, run: Callable[[OnLine], Awaitable[Finished]]) -> None:
        """One OpenTofu process, narrated and watched; Failed and Stopped say how it did not succeed."""
        self.check()
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._watch())
                narrator = group.create_task(self._narrate())
                finished = await run(self._on_line)
                await self._facts.join()
                watcher.cancel()
                narrator.cancel()
        except BaseExceptionGroup as several:
            raise _first(several) from None
        finally:
            await self._keep_errored_state()
        if finished.ok:
            return
        self.lease.check()
        if self.stop.event.is_set():
            raise Stopped(self.stop.why)
        raise Failed(*self._troubles(what, finished))

    @property
    def parallelism(self) -> int:
        """How many resources OpenTofu may work on at once: fewer when few calls are left."""
        return max(1, min(self.world.settings.parallelism, int(self.passing.budget.book.left) // _CALLS_PER_RESOURCE))

    def check(self) -> None:
        """Stop here if a stop is asked for or the lease is gone."""
        self.lease.check()
        if self.stop.event.is_set():
            raise Stopped(self.stop.why)

    def _troubles(self, what: str, finished: Finished) -> tuple[Trouble, ...]:
        found = classify.troubles_of(finished.diagnostics, attempted=what, secrets=self.hidden)
        if self.backend.refusals:
            refused = classify.trouble_of(
                "state-refused", self.backend.refusals[-1], attempted=what, on="the state", secrets=self.hidden
            )
            found = (refused, *found)
        return found or (classify.crashed(finished.exit_code, attempted=what, tail=finished.tail, secrets=self.hidden),)

    async def _on_line(self, line: Line) -> None:
        if isinstance(line, Outputs):
            self.outputs = line
        elif isinstance(line, Hook) and (fact := self.tally.fact(line)) is not None:
            # Never wait here: OpenTofu must be able to write on while the bus is slow.
            self._facts.put_nowait(fact)

    async def _narrate(self) -> None:
        while True:
            fact = await self._facts.get()
            while True:
                try:
                    await self.say(fact)
                    break
                except TryAgain as away:
                    log.warning("fact not said yet", extra={"action": "narration-late", "why": away.reason})
                    await asyncio.sleep(1)
            self._facts.task_done()

    async def _watch(self) -> None:
        """Until something has to stop this work; then one signal to OpenTofu."""
        async with asyncio.TaskGroup() as group:
            waits = [
                group.create_task(self._after(self.world.bus.stopping, "shutdown")),
                group.create_task(self._after(self.lease.lost, "lease-lost")),
            ]
            if self.listens:
                waits.append(group.create_task(self._hear()))
            await self.stop.event.wait()
            log.info("stopping OpenTofu", extra={"action": "tofu-interrupt", "why": self.stop.why})
            self.workspace.interrupt()
            for wait in waits:
                wait.cancel()

    async def _after(self, event: asyncio.Event, why: str) -> None:
        await event.wait()
        self.stop.ask(why)

    async def _hear(self) -> None:
        """Look every now and then whether an operator wants this run to stop: a cancel may arrive at any replica."""
        while not self.stop.event.is_set():
            await asyncio.sleep(self.world.settings.watch_every_s)
            try:
                history = await self.world.bus.journal.fold(self.about.sovereign)
            except TryAgain:
                continue
            if why := standing.stop_wanted(history, self.about.run):
                self.stop.ask(why)

    async def _keep_errored_state(self) -> None:
        """A state that OpenTofu could not push is the only record of what it did: push it, or keep it aside."""
        body = self.workspace.errored_state()
        if body is None:
            return
        try:
            await self.versions.save(body)
        except (StateRefused, TryAgain) as error:
            log.warning("state kept aside", extra={"action": "state-aside", "why": str(error)})
            try:
                await self.versions.keep_errored(body)
            except (TryAgain, Conflict):
                log.exception("state lost", extra={"action": "state-lost"})

    async def look_out_for_the_lost(self) -> None:
        """Wait until no call of an earlier worker can have an effect any more."""
        asked = [datetime.fromisoformat(entry.asked_at) for entry in self.mutations.unanswered]
        if not asked:
            return
        age = (datetime.now(UTC) - max(asked)).total_seconds()
        wait = self.world.settings.cloud_timeout_s - age
        if wait > 0:
            log.info("waiting for what may still happen", extra={"action": "takeover-wait", "seconds": round(wait, 1)})
            await self.pause(wait)

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than this work lasts."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._watch()
        self.check()


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """What ended a group of tasks."""
    first = several.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


@asynccontextmanager
async def bench(
    world: World, chain: Chain, lease: Lease, *, cloud_token: str, state_key: bytes, hidden: frozenset[str]
) -> AsyncIterator[Bench]:
    """Set up the bench for one work; nothing of it is left afterwards."""
    about, settings = chain.about, world.settings
    bucket = world.bus.kv("tofu")
    versions = StateVersions(bucket, about.sovereign, about.life, key=state_key, lease=lease)
    mutations = Mutations(bucket, about.sovereign, about.life, lease.token)
    await versions.load()
    await mutations.load()
    password, credential = loopback_credential(), loopback_credential()
    backend = Backend(versions, lease, password=password, key=state_key)
    clock = time.perf_counter
    upstream = Upstream(
        world.session,
        settings.hcloud_endpoint,
        cloud_token,
        Budget(world.bus.kv("budget"), cloud_token, f"{about.sovereign}.{lease.token}"),
        timeout_s=settings.cloud_timeout_s,
        patience_s=settings.throttle_patience_s,
        clock=clock,
    )
    passing = PassThrough(
        upstream, credential=credential, lease=lease, mutations=mutations, poll_s=settings.poll_s, clock=clock
    )
    stop = world.working[about.sovereign] = Stop(about.run)
    try:
        async with (
            served(*backend.routes(), *passing.routes()) as port,
            world.tofu.workspace(Loopback(port, password, credential)) as workspace,
        ):
            yield Bench(
                world,
                chain,
                lease,
                stop=stop,
                versions=versions,
                mutations=mutations,
                passing=passing,
                backend=backend,
                cloud=Cloud(f"http://127.0.0.1:{port}/v1", credential),
                workspace=workspace,
                hidden=(hidden | {cloud_token, password, credential, versions.join_token}) - {""},
            )
    except Stopped as stopped:
        stopped.resources = len(versions.resources)
        raise
    finally:
        world.working.pop(about.sovereign, None)
        await upstream.budget.give_back()


__all__ = ["Bench", "Failed", "LeaseLost", "Stop", "Stopped", "World", "bench"]
