"""A private tree of real servers, signed from its root, and a real resolver that validates: root, works, omani.works.

Every server has a loopback address of its own, and all of them port 53, as outside: the resolver and we walk down from
the root's hints. An ordinary user may not listen there, but may have a network of his own (see conftest).
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from pydantic import SecretStr

from catalyst.stack.powerdns import PowerDns as Server
from catalyst.stack.powerdns import PowerDnsProgram, free_port
from dns_pdm.asking import DNS_PORT
from dns_pdm.delegation import Delegations, Report
from dns_pdm.keeping import Hosting, ZoneKeeper
from dns_pdm.names import Rules
from dns_pdm.powerdns import NewZone, PowerDns
from dns_pdm.topology import PublicTree
from dns_pdm.updates import PoolUpdates
from dns_pdm.zones import Change, RecordSet

POOL, FQDN = "omani.works", "demo.omani.works"
OWN = "bank.works"
"""A customer's own domain: its parent's servers are not ours."""
NS = ("ns1.omani.works", "ns2.omani.works")
_TTL_S = 60


@dataclass
class Resolver:
    """A validating resolver with a cache."""

    program: str
    configuration: Path
    address: str
    port: int
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and wait until it answers; what it remembered before is forgotten."""
        await self.stop()
        log = self.configuration.with_name("unbound.log")
        process = await asyncio.create_subprocess_exec(
            self.program, "-d", "-c", str(self.configuration), start_new_session=True
        )
        self._process = process
        async with asyncio.timeout(30):
            while not await self._answers():
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it; one that is down already is fine."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()

    async def _answers(self) -> bool:
        query = dns.message.make_query("localhost", "A")
        with suppress(dns.exception.DNSException, OSError):
            await dns.asyncquery.udp(query, self.address, timeout=0.5, port=self.port)
            return True
        return False


@dataclass
class Tree:
    """The servers, their clients, and the resolver."""

    registry: PowerDns
    """Serves ``works``."""
    ours: PowerDns
    """Serves ``omani.works`` and what is below it."""
    keeper: ZoneKeeper
    delegations: Delegations
    resolver: Resolver

    async def check(self, fqdn: str, *, ds_required: bool = True) -> Report:
        """Walk down from the root, ask every parent and child server."""
        return await self.delegations.check(fqdn, NS, ds_required=ds_required)

    async def resolve(self, name: str, kind: str = "A") -> tuple[str, bool, tuple[str, ...]]:
        """What the resolver says: its code, whether it vouches for the answer, and the records asked for."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        answer = await self._asked_again(query)
        rdtype = dns.rdatatype.from_text(kind)
        found = tuple(sorted(str(one) for rrset in answer.answer if rrset.rdtype == rdtype for one in rrset))
        return dns.rcode.to_text(answer.rcode()), bool(answer.flags & dns.flags.AD), found

    async def _asked_again(self, query: dns.message.Message) -> dns.message.Message:
        """As stub resolvers do: unbound drops an answer that took it more than 1.9 s (``discard-timeout``)."""
        async with asyncio.timeout(90):
            while True:
                with suppress(dns.exception.Timeout):
                    return await dns.asyncquery.udp(query, self.resolver.address, timeout=3, port=self.resolver.port)

    async def put(self, zone: PowerDns, where: str, *records: RecordSet) -> None:
        """Replace record sets, as somebody with another hand would."""
        await zone.change(where, [Change(one.name, one.type, one) for one in records])


def _soa(zone: str, host: str) -> RecordSet:
    apex = zone if zone.endswith(".") else f"{zone}."
    return RecordSet(apex, "SOA", _TTL_S, (f"{host}. hostmaster.{host}. 0 10800 3600 604800 {_TTL_S}",))


def _delegation(name: str, hosts: Sequence[tuple[str, str]], ds: Sequence[str]) -> tuple[RecordSet, ...]:
    addresses = [RecordSet(f"{host}.", "A", _TTL_S, (address,)) for host, address in hosts]
    ns = RecordSet(f"{name}.", "NS", _TTL_S, tuple(f"{host}." for host, _address in hosts))
    return (ns, *addresses, RecordSet(f"{name}.", "DS", _TTL_S, tuple(ds)))


async def _ds(api: PowerDns, zone: str) -> tuple[str, ...]:
    found = [ds for key in await api.signing_keys(zone) for ds in key.ds]
    return tuple(f"{ds.key_tag} {ds.algorithm} {ds.digest_type} {ds.digest}" for ds in found)


@asynccontextmanager
async def tree(program: PowerDnsProgram, unbound: str, folder: Path) -> AsyncIterator[Tree]:
    """Build it from below, so that each parent knows the DS of its child."""
    # Of 127.0.0.0/8, so that trees of several tests at once do not meet.
    net = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
    async with AsyncExitStack() as stack:

        async def serve(name: str, *addresses: str) -> PowerDns:
            server = Server(program, folder / name, addresses[0], dns_port=DNS_PORT, more_addresses=addresses[1:])
            await stack.enter_async_context(server)
            return await stack.enter_async_context(PowerDns.connect(server.api_url, SecretStr(server.api_key)))

        root = await serve("root", f"{net}.1")
        registry = await serve("works", f"{net}.2")
        ours = await serve("ours", f"{net}.3", f"{net}.4")
        glue: dict[str, tuple[str, ...]] = {NS[0]: (f"{net}.3",), NS[1]: (f"{net}.4",)}
        hosting = Hosting(nameservers=NS, hostmaster=f"hostmaster.{POOL}", glue=glue, ds_ttl_s=_TTL_S)
        parents = PoolUpdates(ours, f"{net}.3:{DNS_PORT}", SecretStr("m" * 43), ours.turns)
        keeper = ZoneKeeper(ours, parents, hosting, Rules(pools=(POOL,)))
        await keeper.ensure_pools()
        below = _delegation(POOL, [(host, glue[host][0]) for host in NS], await _ds(ours, POOL))
        registry_host = RecordSet("ns.works.", "A", _TTL_S, (f"{net}.2",))
        works_ns = RecordSet("works.", "NS", _TTL_S, ("ns.works.",))
        works = (_soa("works", "ns.works"), works_ns, registry_host, *below)
        await registry.create(NewZone("works", "registry", works, signed=True, nsec3=""))
        top = _delegation("works", [("ns.works", f"{net}.2")], await _ds(registry, "works"))
        root_ns = RecordSet(".", "NS", _TTL_S, ("a.root.",))
        apex = (_soa(".", "a.root"), root_ns, RecordSet("a.root.", "A", _TTL_S, (f"{net}.1",)), *top)
        await root.create(NewZone(".", "root", apex, signed=True, nsec3=""))
        resolver = Resolver(unbound, folder / "unbound/unbound.conf", f"{net}.9", free_port(f"{net}.9", udp=True))
        await _configure(resolver, f"{net}.1")
        stack.push_async_callback(resolver.stop)
        await resolver.start()
        delegations = Delegations(PublicTree({"a.root": (f"{net}.1",)}))
        yield Tree(registry, ours, keeper, delegations, resolver)


def may_listen() -> bool:
    """Whether we may listen on port 53."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((f"127.{secrets.randbelow(200) + 20}.0.1", DNS_PORT))
        except OSError:
            return False
    return True


async def _configure(resolver: Resolver, root: str) -> None:
    folder = resolver.configuration.parent
    folder.mkdir()
    query = dns.message.make_query(".", "DNSKEY")
    keys = (await dns.asyncquery.udp(query, root, timeout=20)).answer
    (folder / "root.key").write_text("\n".join(one.to_text() for one in keys) + "\n")
    (folder / "root.hints").write_text(f". 3600 IN NS a.root.\na.root. 3600 IN A {root}\n")
    lines = [
        "server:", f"  interface: {resolver.address}@{resolver.port}", "  access-control: 127.0.0.0/8 allow",
        '  chroot: ""', '  username: ""', '  pidfile: ""', f'  directory: "{folder}"', "  use-syslog: no",
        f'  logfile: "{folder / "unbound.log"}"', "  verbosity: 1", "  num-threads: 1", "  do-ip6: no",
        "  do-not-query-localhost: no", '  module-config: "validator iterator"', "  trust-anchor-file: root.key",
        "  root-hints: root.hints",
        "remote-control:", "  control-enable: no",
    ]  # fmt: skip
    resolver.configuration.write_text("\n".join(lines) + "\n")
