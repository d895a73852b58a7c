"""Real PowerDNS servers on loopback, and dns-pdm's parts on top of them."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from catalyst.stack.powerdns import PowerDns as Server
from catalyst.stack.powerdns import PowerDnsProgram
from contracts.dns import DsRecord
from dns_pdm.delegation import Delegations
from dns_pdm.keeping import Hosting, ZoneKeeper
from dns_pdm.names import Rules
from dns_pdm.powerdns import NewZone, PowerDns
from dns_pdm.topology import DescribedTopology
from dns_pdm.updates import PoolUpdates
from dns_pdm.zones import Change, RecordSet
from tests.integration.dns_pdm.tree import may_listen

ROOT = Path(__file__).parents[3]
POOL = "omani.works"
NS = ("ns1.omani.works", "ns2.omani.works")
RULES = Rules(pools=(POOL,))
HOSTING = Hosting(
    nameservers=NS,
    hostmaster=f"hostmaster.{POOL}",
    glue={"ns1.omani.works": ("127.0.0.1",), "ns2.omani.works": ("127.0.0.1",)},
    ds_ttl_s=1,
)
ServerIn = Callable[[str], Awaitable[Server]]


@pytest.fixture(scope="session")
def program() -> PowerDnsProgram:
    told = subprocess.run(
        [sys.executable, ROOT / "deploy/tools/tools.py", "env"], check=True, capture_output=True, text=True, timeout=30
    )
    found = dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)
    return PowerDnsProgram.told_by({**found, **{k: v for k, v in os.environ.items() if k.startswith("CATALYST_PDNS_")}})


@pytest.fixture
async def server_in(program: PowerDnsProgram, tmp_path: Path) -> AsyncIterator[ServerIn]:
    """Start servers, each in a folder of its own."""
    async with AsyncExitStack() as stack:

        async def start(name: str) -> Server:
            return await stack.enter_async_context(Server(program, tmp_path / name))

        yield start


@pytest.fixture
async def server(server_in: ServerIn) -> Server:
    return await server_in("pdns")


@pytest.fixture
async def api(server: Server) -> AsyncIterator[PowerDns]:
    async with PowerDns.connect(server.api_url, SecretStr(server.api_key)) as client:
        yield client


@pytest.fixture
async def keeper(server: Server, api: PowerDns) -> ZoneKeeper:
    """Zones on that server, the pool zone among them."""
    keeper = keeper_on(server, api)
    await keeper.ensure_pools()
    return keeper


def keeper_on(server: Server, api: PowerDns, hosting: Hosting = HOSTING) -> ZoneKeeper:
    """Keeps zones on a server, and delegates in its pools by DNS UPDATE."""
    return ZoneKeeper(api, PoolUpdates(api, where(server)[0], SecretStr("m" * 43), api.turns), hosting, RULES)


def where(server: Server) -> tuple[str, ...]:
    """Where a server listens."""
    return (f"{server.address}:{server.dns_port}",)


@pytest.fixture
def world(server: Server) -> Delegations:
    """One server for the pool and for what is below it."""
    return Delegations(DescribedTopology({POOL: NS}, dict.fromkeys(NS, where(server))))


def registry_zone(name: str) -> NewZone:
    """A zone of somebody else, such as a registry."""
    apex = f"{name}."
    soa = RecordSet(apex, "SOA", 60, (f"ns.registry.{apex} hostmaster.{apex} 0 10800 3600 604800 60",))
    return NewZone(name, "registry", (soa, RecordSet(apex, "NS", 60, (f"ns.registry.{apex}",))), signed=True, nsec3="")


def pasted(fqdn: str, nameservers: Sequence[str], ds: Sequence[DsRecord] = ()) -> list[Change]:
    """What a customer enters at the registrar."""
    name = f"{fqdn}."
    ns = RecordSet(name, "NS", 60, tuple(f"{host}." for host in nameservers))
    digests = tuple(f"{one.key_tag} {one.algorithm} {one.digest_type} {one.digest}" for one in ds)
    changes = [Change(name, "NS", ns)]
    return [*changes, Change(name, "DS", RecordSet(name, "DS", 60, digests))] if ds else changes


_WITH_LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Who may not listen on port 53 runs the tests of the private tree in a network of his own, as root there."""
    if "world" not in pyfuncitem.fixturenames or pyfuncitem.path.name != "test_tree.py" or may_listen():
        return None
    again = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"{pyfuncitem.path}::{pyfuncitem.name}"]
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", _WITH_LOOPBACK_UP, *again],
        check=False, capture_output=True, text=True, timeout=120, cwd=ROOT,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return True
