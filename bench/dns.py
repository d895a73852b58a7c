"""How fast zones are made and delegations checked, on a real PowerDNS; what waiting for many domains costs.

The waiting is measured at the rate of 1,000 domains: a domain that has waited long is looked at every 15 minutes, so a
thousand of them are 1.11 checks a second. A hundred domains at a tenth of that distance are the same rate, through the
whole service: timer, history, questions to parent and child servers, the fact that is said.
"""

import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import aiohttp
from pydantic import SecretStr

if not __package__:  # run as a file: this folder's names would hide the packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench._report import Figure, main, tell
from bus import Journal, connect
from bus.server import NatsServer, free_port, running_server
from catalyst.stack.powerdns import PowerDns as Server
from catalyst.stack.powerdns import PowerDnsProgram
from contracts.dns import DnsAwaitingDelegation
from contracts.event import About
from contracts.identity import sovereign_id
from contracts.request import Domain, Organisation, Shape, Topology
from contracts.sovereign import SovereignRequested
from dns_pdm.delegation import Delegations
from dns_pdm.keeping import Hosting, ZoneKeeper
from dns_pdm.names import Rules
from dns_pdm.powerdns import NewZone, PowerDns
from dns_pdm.topology import DescribedTopology
from dns_pdm.updates import PoolUpdates
from dns_pdm.zones import RecordSet

POOL, PARENT = "omani.works", "example.om"
NS = ("ns1.omani.works", "ns2.omani.works")
SINGLE, MANY, AT_ONCE, CHECKS = 100, 1000, 8, 100
DOMAINS, EVERY_S = 100, 90.0
"""1,000 domains every 900 s, scaled to a tenth."""
WATCHED_S = EVERY_S
"""Each of them is looked at once in that time."""
_SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTyY2rQvXas03wK+urnsyAZ8lfY3j6QV3wU3LaTX4vk bench"


def measure() -> Iterable[Figure]:
    """All figures."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="cz-bench-") as folder:
        async with AsyncExitStack() as stack:
            program = PowerDnsProgram.told_by(_tools())
            ours = await stack.enter_async_context(Server(program, Path(folder) / "ours"))
            registry = await stack.enter_async_context(Server(program, Path(folder) / "registry"))
            api = await stack.enter_async_context(PowerDns.connect(ours.api_url, SecretStr(ours.api_key)))
            parent = await stack.enter_async_context(PowerDns.connect(registry.api_url, SecretStr(registry.api_key)))
            await parent.create(_zone_of_registry())
            parents = PoolUpdates(api, f"{ours.address}:{ours.dns_port}", SecretStr(secrets.token_hex(32)), api.turns)
            figures = await _zones(ZoneKeeper(api, parents, _hosting(), Rules(pools=(POOL,))))
            figures.append(await _checks(ours))
            figures += await _waiting(Path(folder), ours, registry)
            return figures


async def _zones(keeper: ZoneKeeper) -> list[Figure]:
    await keeper.ensure_pools()

    async def make(name: str) -> float:
        began = time.perf_counter()
        await keeper.ensure(name, 1)
        await keeper.publish(name, "192.0.2.1", "2001:db8::1", ttl_s=60)
        return (time.perf_counter() - began) * 1000

    tell(f"{SINGLE} zones one after the other")
    each = [await make(f"one-{number}.{POOL}") for number in range(SINGLE)]
    tell(f"{MANY} zones, {AT_ONCE} at once")
    slots = asyncio.Semaphore(AT_ONCE)

    crowded: list[float] = []

    async def in_turn(name: str) -> None:
        async with slots:
            crowded.append(await make(name))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(MANY):
            group.create_task(in_turn(f"many-{number}.{POOL}"))
    lasted = time.perf_counter() - began
    after = [await make(f"after-{number}.{POOL}") for number in range(SINGLE)]
    return [
        Figure(
            name="zone with records and DNSSEC ready, p95", value=_p95(each), unit="ms", goal=300, low=min(each),
            high=max(each), note="made, signed, delegated, published, read back",
        ),
        Figure(
            name=f"the same beside {MANY + SINGLE} others, p95", value=_p95(after), unit="ms", goal=300, low=min(after),
            high=max(after), note="made as the first ones",
        ),
        Figure(name=f"{MANY} zones by one replica", value=lasted, unit="s", goal=180, note=f"{AT_ONCE} at once"),
        Figure(
            name=f"one of {MANY} zones, {AT_ONCE} at once, p95", value=_p95(crowded), unit="ms", goal=1440,
            low=min(crowded), high=max(crowded), note="of 3 min for all, that is what each has",
        ),
    ]  # fmt: skip


async def _checks(ours: Server) -> Figure:
    tell(f"{CHECKS} delegation checks")
    topology = DescribedTopology({POOL: NS}, dict.fromkeys(NS, (f"{ours.address}:{ours.dns_port}",)))
    delegations, each = Delegations(topology), list[float]()
    for number in range(CHECKS):
        began = time.perf_counter()
        report = await delegations.check(f"one-{number % SINGLE}.{POOL}", NS, ds_required=True)
        each.append((time.perf_counter() - began) * 1000)
        assert report.holds, report
    return Figure(
        name="delegation check of one domain, p95", value=_p95(each), unit="ms", goal=1000, low=min(each),
        high=max(each),
    )  # fmt: skip


async def _waiting(folder: Path, ours: Server, registry: Server) -> list[Figure]:
    async with (
        running_server(folder / "nats", sync="2m") as nats,
        _service(folder, nats, ours, registry) as pid,
        connect(nats.settings("intake"), "intake") as intake,
    ):
        tell(f"{DOMAINS} domains begin to wait")
        for number in range(DOMAINS):
            about = About(sovereign=sovereign_id(f"bank-{number}.{PARENT}"), owner="bench", life=1, run=1)
            history = await intake.journal.fold(about.sovereign)
            await intake.journal.append([_requested(number)], about, cause=uuid4(), after=history)
        await _until_all_wait(intake.journal)
        tell(f"they wait for {WATCHED_S:g} s")
        used, asked = _cpu_s(pid), await _questions(registry)
        began = time.perf_counter()
        await asyncio.sleep(WATCHED_S)
        lasted = time.perf_counter() - began
        cpu, rate = (_cpu_s(pid) - used) / lasted, (await _questions(registry) - asked) / lasted
    assert rate > 0, "nothing was looked at"
    return [
        Figure(
            name="1,000 waiting domains, share of a core", value=100 * cpu, unit="%", goal=10,
            note=f"{DOMAINS} domains every {EVERY_S:g} s, the whole service",
        ),
        Figure(name="questions to one server of the parent", value=rate, unit="/s", goal=10, note="both of its names"),
    ]  # fmt: skip


async def _until_all_wait(journal: Journal) -> None:
    for number in range(DOMAINS):
        async with asyncio.timeout(120):
            history = await journal.fold(sovereign_id(f"bank-{number}.{PARENT}"))
            while history.last(DnsAwaitingDelegation) is None:
                await asyncio.sleep(0.2)
                history = await journal.fold(history.sovereign)


@asynccontextmanager
async def _service(folder: Path, nats: NatsServer, ours: Server, registry: Server) -> AsyncIterator[int]:
    files = {"minting.key": secrets.token_hex(32), "powerdns.key": ours.api_key}
    for name, text in files.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    at = [f"{ours.address}:{ours.dns_port}"]
    hosts = {**dict.fromkeys(NS, at), "ns.registry.om": [f"{registry.address}:{registry.dns_port}"]}
    door = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        **nats.environment("dns-pdm"),
        "CATALYST_REPLICA": "dns-pdm",
        "CATALYST_HEALTH_PORT": str(free_port()),
        "DNS_PDM_POWERDNS_URL": ours.api_url,
        "DNS_PDM_POWERDNS_KEY_FILE": str(folder / "powerdns.key"),
        "DNS_PDM_POOL_DOMAINS": json.dumps([POOL]),
        "DNS_PDM_NAMESERVERS": json.dumps(NS),
        "DNS_PDM_TREE_ZONES": json.dumps({PARENT: ["ns.registry.om"]}),
        "DNS_PDM_TREE_HOSTS": json.dumps(hosts),
        "DNS_PDM_FIRST_CHECK_S": str(EVERY_S),
        "DNS_PDM_SLOWEST_CHECK_S": str(EVERY_S),
        "DNS_PDM_MINTING_KEY_FILE": str(folder / "minting.key"),
        "DNS_PDM_ZONE_DOOR_PORT": str(door),
        "DNS_PDM_ZONE_DOOR_URL": f"http://127.0.0.1:{door}",
        "DNS_PDM_UPDATE_SERVER": at[0],
    }
    with (folder / "dns-pdm.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dns_pdm", env=environment, stdout=log, stderr=log
        )
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _requested(number: int) -> SovereignRequested:
    shape = Shape(
        organisation=Organisation(name="Bench"),
        topology=Topology(region="fsn1"),
        domain=Domain(mode="byo-manual", fqdn=f"bank-{number}.{PARENT}"),
        ssh_public_key=_SSH_KEY,
    )
    return SovereignRequested(
        request_id=uuid4(), kind="new", shape=shape, body_digest="0" * 64, admin_ref=f"bench.{number}.admin"
    )


def _zone_of_registry() -> NewZone:
    apex = f"{PARENT}."
    soa = RecordSet(apex, "SOA", 60, (f"ns.registry.om. hostmaster.{apex} 0 10800 3600 604800 60",))
    return NewZone(PARENT, "registry", (soa, RecordSet(apex, "NS", 60, ("ns.registry.om.",))), signed=True, nsec3="")


def _hosting() -> Hosting:
    return Hosting(nameservers=NS, hostmaster=f"hostmaster.{POOL}", glue=dict.fromkeys(NS, ("127.0.0.1",)))


async def _questions(server: Server) -> float:
    url = f"{server.api_url}/api/v1/servers/localhost/statistics"
    async with aiohttp.ClientSession(headers={"X-API-Key": server.api_key}) as session, session.get(url) as answer:
        rows = {row["name"]: row["value"] for row in await answer.json() if row["type"] == "StatisticItem"}
    return float(rows["udp-queries"]) + float(rows["tcp-queries"])


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far (proc(5), stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _tools() -> dict[str, str]:
    tools = Path(__file__).parents[1] / "deploy/tools/tools.py"
    told = subprocess.run([sys.executable, tools, "env"], check=True, capture_output=True, text=True, timeout=60)
    return {**os.environ, **dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)}


if __name__ == "__main__":
    main("DNS", measure)
