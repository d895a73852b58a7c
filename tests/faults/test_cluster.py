"""Three servers with replicated streams, the leader killed meanwhile: guards, leases and folds hold as on one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from bus import Bus, Conflict, LeaseBusy, TryAgain, connect
from bus.connection import open_connection
from bus.server import NatsServer, free_port
from bus.topology import ensure_topology
from contracts import History
from contracts.dns import DnsReserved
from contracts.sovereign import SovereignCancelRequested
from contracts.topology import ADMIN
from tests.faults.running import about, request, until
from tests.unit.intake.test_life import REQUESTED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SIZE = 3
ROUNDS = 40


class Cluster:
    """Three servers of one cluster, and clients that know all of them, each beginning with another."""

    def __init__(self, servers: list[NatsServer], stack: AsyncExitStack) -> None:
        self.servers = servers
        self._stack = stack

    async def bus(self, user: str, first: int, **settings: object) -> Bus:
        """Connect as a user to the server ``first``, the others known."""
        order = self.servers[first:] + self.servers[:first]
        urls = ",".join(server.url for server in order)
        found = order[0].settings(user, **settings).model_copy(update={"nats_url": urls})
        return await self._stack.enter_async_context(connect(found, user))

    async def leader_of(self, bus: Bus, stream: str) -> NatsServer:
        """The server that leads a stream now."""

        async def leader() -> str:
            try:
                info = await bus.connection.api(f"$JS.API.STREAM.INFO.{stream}")
            except (TryAgain, OSError):
                return ""
            return str(info.get("cluster", {}).get("leader", ""))

        name = await until(leader)
        return next(server for server in self.servers if server.name == name)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    ports = [free_port() for _ in range(SIZE)]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    async with AsyncExitStack() as stack:
        servers = []
        for number, port in enumerate(ports):
            joined = f'cluster {{ name: catalyst, listen: "127.0.0.1:{port}", routes: [{routes}] }}'
            server = NatsServer(
                tmp_path / f"n{number}", tmp_path / "keys", name=f"n{number}", cluster=joined, sync="2m"
            )
            await server.start()
            stack.push_async_callback(server.stop)
            servers.append(server)
        admin = await open_connection(servers[0].settings(ADMIN), ADMIN)

        async def made() -> bool:
            try:
                await ensure_topology(admin, replicas=SIZE, scale=0.02)
            except (TryAgain, OSError):
                return False
            return True

        await until(made)
        await admin.client.close()
        async with AsyncExitStack() as clients:
            yield Cluster(servers, clients)


async def test_guards_exclude_and_folds_reach_on_a_cluster_whose_leader_is_killed(cluster: Cluster) -> None:
    intakes = [await cluster.bus("intake", number) for number in range(SIZE)]
    dns = await cluster.bus("dns-pdm", 1)
    acked: dict[str, int] = {}
    killed: NatsServer | None = None

    async def decide(intake: Bus, name: str) -> int | None:
        """A request of one of several intakes; its sequence if it was the one."""
        whom, cause = about(name), uuid4()
        while True:
            try:
                read = await intake.journal.append([REQUESTED], whom, cause=cause, after=History(whom.sovereign))
            except Conflict:
                return None
            except (TryAgain, OSError):
                await asyncio.sleep(0.2)
            else:
                return read.recorded[0].sequence

    for turn in range(ROUNDS):
        name = f"guard{turn}"
        if turn == ROUNDS // 2:
            killed = await cluster.leader_of(intakes[0], "PROV")
            await killed.stop(kill=True)
        async with asyncio.timeout(60):
            results = await asyncio.gather(*(decide(intake, name) for intake in intakes))
        winners = [sequence for sequence in results if sequence is not None]
        assert len(winners) == 1, (name, results)
        acked[name] = winners[0]

        # Whoever reads next, through whatever server, reads what was acknowledged.
        fold = await intakes[turn % SIZE].journal.fold(about(name).sovereign, reaching=winners[0])
        assert [item.sequence for item in fold.recorded] == winners

    # A start of work and a cancel exclude each other, whichever comes first.
    for turn, (name, sequence) in enumerate(list(acked.items())[-10:]):
        fold = await dns.journal.fold(about(name).sovereign, reaching=sequence)
        begin = dns.journal.append([_reserved(name)], about(name), cause=uuid4(), after=fold)
        cancel = intakes[turn % SIZE].journal.append(
            [SovereignCancelRequested()], about(name), cause=uuid4(), after=fold
        )
        ends = await asyncio.gather(begin, cancel, return_exceptions=True)
        # dns.reserved is guarded by sovereign.*: the cancel may follow it, it may not follow the cancel.
        history = await intakes[0].journal.history(about(name).sovereign)
        facts = [item.event.data.fact for item in history.recorded]
        if isinstance(ends[0], Conflict):
            assert facts == ["sovereign.requested", "sovereign.cancel-requested"]
        else:
            assert not isinstance(ends[0], BaseException), ends
            assert facts.index("dns.reserved") == 1, facts

    assert killed is not None
    await killed.start()
    everything = {
        item.sequence: item.event.subject async for item in intakes[0].journal.everything("sovereign.requested.*")
    }
    assert everything == {sequence: about(name).sovereign for name, sequence in acked.items()}, "nothing acked is lost"


def _reserved(name: str) -> DnsReserved:
    return DnsReserved(zone=f"{name}.omani.works.", nameservers=())


async def test_one_holder_per_lease_through_a_change_of_leader(cluster: Cluster) -> None:
    first, second = await cluster.bus("tofu-runner", 0), await cluster.bus("tofu-runner", 1, replica="other")
    async with first.leases.hold("demo_omani_works") as lease:
        leader = await cluster.leader_of(await cluster.bus("admin", 2), "KV_lease")
        await leader.stop(kill=True)
        tries = 0
        before = lease.revision

        async def renewed() -> bool:
            nonlocal tries
            try:
                taken = await second.leases.acquire("demo_omani_works")
            except (LeaseBusy, TryAgain, TimeoutError, OSError):
                tries += 1
            else:
                assert not lease.sure, f"two holders: {lease.token} and {taken.token}"
            return lease.revision > before

        await until(renewed)
        assert lease.sure, "renewed by the new leader, within the times of production"
        assert tries > 0
        token = lease.token

    async def taken() -> int:
        try:
            return (await second.leases.acquire("demo_omani_works")).token
        except (LeaseBusy, TryAgain, TimeoutError, OSError):
            return 0

    assert await until(taken) > token


async def test_requests_are_acked_while_one_server_after_another_restarts(cluster: Cluster) -> None:
    intake = await cluster.bus("intake", 0)
    acked: dict[str, int] = {}

    async def one(name: str) -> None:
        acked[name] = await request(intake, name)

    async with asyncio.TaskGroup() as group:
        for number, server in enumerate(cluster.servers):
            for turn in range(10):
                group.create_task(one(f"roll{number}x{turn}"))
            await server.stop(kill=True)
            await server.start()

            async def led() -> bool:
                return bool(await cluster.leader_of(intake, "PROV"))

            await until(led)
    stored = {item.sequence: item.event.subject async for item in intake.journal.everything("sovereign.requested.*")}
    assert stored == {sequence: about(name).sovereign for name, sequence in acked.items()}
