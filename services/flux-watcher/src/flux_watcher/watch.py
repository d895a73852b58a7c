"""Watches one Sovereign: reflectors, timers and probes in one task group, and one speaker that says what follows.

Everything that is seen changes the picture and wakes the speaker; only the speaker appends, one fact after another,
with ids derived from the node's enrolment. What was said is read from the stream at the beginning, so whoever
watches next goes on without a repeat.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

from bus import SecretInClear, TryAgain
from bus.waiting import event_or, still_wanted
from contracts.errors import trouble
from contracts.event import About, Fact, derived_id
from contracts.flux import FluxStalled, HostProbe, ProbeFailed, ProbePassed
from contracts.history import History
from contracts.kit import Kit
from flux_watcher.api import ApiTrouble, Denied, Forbidden, NotServed
from flux_watcher.charge import Charge
from flux_watcher.cluster import Cluster
from flux_watcher.course import Course, Windows
from flux_watcher.expected import expected_of
from flux_watcher.kubeconfig import Access, BadKubeconfig, read_kubeconfig
from flux_watcher.memory import Memory
from flux_watcher.objects import EVIDENCE_KINDS, FLUX_KINDS, LISTED_KINDS, Kind, Seen
from flux_watcher.probe import trouble_of
from flux_watcher.reflector import Pace, Reflector
from flux_watcher.release import NAMESPACE
from flux_watcher.state import Picture, Wanted
from flux_watcher.tail import SOURCES, Tail

FIRST_LOGIN: Final = "catalyst.openova.io/first-login"
"""Annotation of our namespace: what the boot stage hand-in sealed (deploy/tofu/hetzner/scripts/stages)."""

log = logging.getLogger(__name__)

WITHHELD = "(the message was withheld: it looked like it held a secret)"


class Journal(Protocol):
    """Where facts are said and read."""

    async def history(self, sovereign: str, *, after: int = 0) -> History:
        """Every event of one Sovereign."""
        ...

    async def append(self, facts: Sequence[Fact], about: About, *, cause: UUID, after: History) -> History:
        """Say facts."""
        ...


class Secrets(Protocol):
    """Where the sealed kubeconfig rests."""

    async def open(self, sovereign: str, life: int, name: str) -> bytes:
        """The plaintext; KeyError when it is gone."""
        ...

    async def erase(self, sovereign: str, life: int, name: str) -> None:
        """Remove it."""
        ...


class Chatter(Protocol):
    """Where log lines go."""

    async def say(self, sovereign: str, source: str, run: int, lines: Sequence[str]) -> None:
        """Publish lines; lost without harm."""
        ...


class AnotherCluster(Exception):
    """What answers is not the cluster that was watched before."""


class Hosts(Protocol):
    """Looks at a Sovereign from outside."""

    async def hosts(self, fqdn: str, address: str) -> tuple[HostProbe, ...]:
        """Every host."""
        ...


Connect = Callable[[Access, str], AbstractAsyncContextManager[Cluster]]


@dataclass(frozen=True)
class Rhythm:
    """How often things are looked at, in seconds."""

    busy_s: float = 5
    """Workloads and nodes, while something is not ready."""
    calm_s: float = 60
    """The same, once all is ready."""
    probe_s: float = 5
    """Hosts, until they hold."""
    probe_calm_s: float = 60
    """The same, afterwards."""
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What a watch needs of the world."""

    journal: Journal
    secrets: Secrets
    hosts: Hosts
    logs: Chatter
    connect: Connect
    kit: Kit
    api_port: int = 6443
    root: str = "catalyst-kit"
    windows: Windows = field(default_factory=Windows)
    rhythm: Rhythm = field(default_factory=Rhythm)
    lists: asyncio.Semaphore | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass
class Watch:
    """One Sovereign's watch. It is also what its reflectors tell."""

    charge: Charge
    ports: Ports
    course: Course = field(init=False)
    _reflectors: list[Reflector] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _list_now: asyncio.Event = field(default_factory=asyncio.Event)
    _saying: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def memory(self) -> Memory:
        """What was said in this run."""
        return self.course.memory

    async def run(self) -> None:
        """Until cancelled, or until nothing is left to watch."""
        about = self.charge.about
        history = await self.ports.journal.history(about.sovereign)
        self.course = Course(
            wanted=Wanted(expected_of(self.ports.kit, self.charge.components), self.charge.nodes, self.ports.root),
            picture=Picture(),
            memory=Memory.of(history, run=about.run),
            windows=self.ports.windows,
            begun_at=self.charge.begun_at,
        )
        log.info("watching", extra={"action": "watch", "sovereign": about.sovereign, "mode": self.charge.mode})
        if self.charge.mode == "probe":
            await self._probe()
            return
        async with self._cluster() as cluster:
            if cluster is not None:
                await self._watch(cluster)

    async def _watch(self, cluster: Cluster) -> None:
        rhythm = self.ports.rhythm
        await self._identify(cluster)
        self._reflectors = [Reflector(kind, cluster, self, rhythm.pace, lists=self.ports.lists) for kind in FLUX_KINDS]
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run())
            group.create_task(self._look_at_workloads(cluster))
            group.create_task(self._speak())
            group.create_task(self._probe())
            group.create_task(self._follow_logs(cluster))

    async def _follow_logs(self, cluster: Cluster) -> None:
        """Pass on what the controllers log: often while something is not ready."""
        about, tails = self.charge.about, [Tail(controller) for controller in SOURCES]
        while True:
            still_wanted()
            for tail in tails:
                if lines := await tail.look(cluster):
                    await self.ports.logs.say(about.sovereign, tail.controller, about.run, lines)
            await asyncio.sleep(self.ports.rhythm.calm_s if self._calm() else self.ports.rhythm.busy_s)

    def _calm(self) -> bool:
        """Whether everything is ready and was said to be."""
        return self.memory.converged is not None and not self.course.picture.missing(self.course.wanted)

    async def _identify(self, cluster: Cluster) -> None:
        """Make sure that it is the cluster of before, by the uid of kube-system: its objects are nobody else's."""
        try:
            uid = await cluster.namespace_uid("kube-system")
        except ApiTrouble:
            return  # The reflectors meet the same trouble and tell of it; the next round looks again.
        known = self.memory.cluster_uid
        if known and uid != known:
            await self.say(refused("another cluster answers at this address", self.charge.begun_at))
            raise AnotherCluster(self.charge.about.sovereign)
        self.memory.cluster_uid = uid
        if not self.course.first_login:
            with suppress(ApiTrouble):
                self.course.first_login = await cluster.annotation(NAMESPACE, FIRST_LOGIN)

    @asynccontextmanager
    async def _cluster(self) -> AsyncIterator[Cluster | None]:
        """The cluster, by the kubeconfig that was handed in; None when there is none, or one that is refused."""
        about = self.charge.about
        try:
            content = await self.ports.secrets.open(about.sovereign, about.life, self.charge.secret)
        except KeyError:
            log.info("no kubeconfig", extra={"action": "watch-ends", "sovereign": about.sovereign})
            yield None
            return
        try:
            access = read_kubeconfig(content)
        except BadKubeconfig as error:
            await self.say(refused(str(error), self.charge.begun_at))
            yield None
            return
        async with self.ports.connect(access, f"https://{self.charge.address}:{self.ports.api_port}") as cluster:
            yield cluster

    # What the reflectors tell.

    def listed(self, kind: Kind, objects: list[Seen]) -> None:
        """The whole of a kind."""
        self.course.picture.replace(kind, objects)
        self._changed.set()

    def changed(self, kind: Kind, seen: Seen) -> None:
        """One object appeared or changed."""
        self.course.picture.put(kind, seen)
        self._changed.set()

    def deleted(self, kind: Kind, seen: Seen) -> None:
        """One object went."""
        self.course.picture.remove(kind, seen)
        self._changed.set()

    def unserved(self, kind: Kind) -> None:
        """The cluster does not know this kind."""
        self.course.picture.not_served(kind)
        self._changed.set()

    def trouble(self, kind: Kind, error: ApiTrouble | None) -> None:
        """The API failed, or answered again."""
        if error is None and self.course.unreachable_since is None:
            return
        if error is not None and self.course.unreachable_since is None:
            level = logging.INFO if isinstance(error, Denied) else logging.WARNING
            about = self.charge.about.sovereign
            extra = {"action": "cluster-trouble", "sovereign": about, "kind": kind.name, "why": str(error)}
            log.log(level, "the cluster does not answer", extra=extra)
        self.course.contact(self.ports.now(), "" if error is None else str(error))
        self._changed.set()

    def list_anew(self) -> None:
        """Read everything again: an operator asked for it."""
        for reflector in self._reflectors:
            reflector.list_anew()
        self._list_now.set()

    # The timers.

    async def _look_at_workloads(self, cluster: Cluster) -> None:
        """List what is not watched: often while something is not ready, and what explains a standstill with it."""
        rhythm = self.ports.rhythm
        while True:
            calm = self._calm()
            evidence = () if calm or not self.memory.appeared else EVIDENCE_KINDS
            await self._identify(cluster)
            for kind in (*LISTED_KINDS, *evidence):
                await self._look_at(cluster, kind)
            self._list_now.clear()
            await event_or(self._list_now, rhythm.calm_s if calm else rhythm.busy_s)

    async def _look_at(self, cluster: Cluster, kind: Kind) -> None:
        reader = Reflector(kind, cluster, self, self.ports.rhythm.pace, lists=self.ports.lists)
        try:
            await reader.read()
        except (NotServed, Forbidden):
            self.unserved(kind)
        except ApiTrouble as error:
            self.trouble(kind, error)

    async def _speak(self) -> None:
        """Say what is due whenever something changed, or when the time for it has come."""
        while True:
            still_wanted()
            self._changed.clear()
            now = self.ports.now()
            step = self.course.due(now)
            if await self.say(*step.facts):
                continue
            pause = None if step.again_at is None else max((step.again_at - now).total_seconds(), 0.01)
            await event_or(self._changed, pause)

    async def say(self, *facts: Fact) -> bool:
        """Append those that were not said yet; whether any was."""
        any_said = False
        async with self._saying:
            for fact in facts:
                if derived_id(self.charge.cause, fact, self.charge.about) not in self.memory.ids:
                    await self._append(fact)
                    any_said = True
        return any_said

    async def _append(self, fact: Fact) -> None:
        """Append one fact, however long the bus takes; a message that looks like a secret is withheld."""
        about, pause = self.charge.about, 0.2
        while True:
            still_wanted()
            try:
                nothing = History(about.sovereign)
                said = await self.ports.journal.append((fact,), about, cause=self.charge.cause, after=nothing)
            except TryAgain as error:
                log.warning("cannot say it yet", extra={"action": "say-later", "why": str(error), "fact": fact.fact})
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10.0)
            except SecretInClear:
                fact = withheld(fact)
            else:
                for item in said.recorded:
                    self.memory.add(item.event)
                return

    # The view from outside.

    async def _probe(self) -> None:
        """Look at the hosts as soon as the releases are ready, then for as long as the watch lasts."""
        rhythm = self.ports.rhythm
        while True:
            still_wanted()
            if self.charge.mode == "probe" or self._worth_probing():
                hosts = await self.ports.hosts.hosts(self.charge.fqdn, self.charge.address)
                await self._tell(hosts)
            await asyncio.sleep(rhythm.probe_calm_s if self.memory.passed else rhythm.probe_s)

    def _worth_probing(self) -> bool:
        begun = self.memory.ever_converged or self.memory.last_passed or self.memory.last_failed
        return bool(begun) or not self.course.picture.releases_missing(self.course.wanted)

    async def _tell(self, hosts: tuple[HostProbe, ...]) -> None:
        """Passed and failed replace each other; the same again is not said."""
        if any(host.reason for host in hosts):
            await self.say(ProbeFailed(hosts=hosts, trouble=trouble_of(hosts), replaces=self.memory.last_passed))
        elif self.memory.passed is None:
            await self.say(ProbePassed(hosts=hosts, replaces=self.memory.last_failed))


def refused(why: str, since: datetime) -> FluxStalled:
    """A kubeconfig that is not used: nothing of it was executed, read or connected to."""
    what = trouble("hand-in-refused", attempted="read the kubeconfig", on="kubeconfig", message=why)
    return FluxStalled(trouble=what, blocking="kubeconfig", since=since)


def withheld(fact: Fact) -> Fact:
    """The fact without the cluster's own words."""
    changes: dict[str, object] = {}
    for name in ("message", "reason"):
        if hasattr(fact, name):
            changes[name] = WITHHELD if name == "message" else ""
    if hasattr(fact, "evidence"):
        changes["evidence"] = (WITHHELD,)
    if hasattr(fact, "trouble"):
        changes["trouble"] = fact.trouble.model_copy(update={"message": WITHHELD})
    return fact.model_copy(update=changes)


__all__ = ["Connect", "Hosts", "Journal", "Ports", "Rhythm", "Secrets", "Watch"]
