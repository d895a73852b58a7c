"""The whole of Catalyst Zero on one machine, on loopback: broker, DNS server, sandbox and one process per service.

`make demo`, `catalyst up` and the system tests start this and nothing else. What it needs to know about each service is
the environment it gives it; swapping the sandbox for the real cloud changes `cloud_endpoint` and nothing more.
"""

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

import aiohttp

from bus.server import NatsServer, free_port, make_topology
from catalyst.stack.powerdns import PowerDns, PowerDnsProgram
from catalyst.stack.processes import DidNotStart, Program, Supervisor
from catalyst.stack.registry import CUSTOMER_ZONE, HOSTS, Registry
from catalyst.stack.steering import steered
from catalyst.stack.tools import CHECKOUT, tool_environment
from contracts.request import RegistrarName

SERVICES = ("intake", "dns-pdm", "tofu-runner", "flux-watcher", "gateway")
SCALABLE = ("intake", "tofu-runner", "flux-watcher")
"""On one machine; the other two listen on a port that outsiders know."""
MOST_REPLICAS = 16
POOL_DOMAIN = "omani.works"
NAMESERVERS = ("ns1.omani.works", "ns2.omani.works")
_KEPT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")


@dataclass(frozen=True)
class Options:
    """How the stack is set up."""

    directory: Path
    """Everything that the stack writes lies here."""
    console_port: int = 0
    replicas: Mapping[str, int] = field(default_factory=dict)
    """Replicas of a service, one unless named."""
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """More environment for a service (or ``sandbox``), by name; the last word."""
    sync: str = "always"
    """nats-server's sync_interval: ``always`` as in production."""
    nats_port: int = -1
    """-1 takes a free one."""
    owner: str = "demo"
    """Whose Sovereigns are those that are asked for at the durable door."""
    sandbox: bool = True
    """False: no simulated cloud is started, and the services are told nothing but what ``overrides`` say of one."""


class Stack:
    """A running stack."""

    def __init__(self, options: Options, *, tell: Callable[[str], None] = lambda _line: None) -> None:
        self.options = options
        self.directory = options.directory.resolve()
        self._tell = tell
        self.supervisor = Supervisor(self.directory / "logs", tell=tell)
        self.nats = NatsServer(
            self.directory / "nats", self.directory / "keys", sync=options.sync, port=options.nats_port
        )
        self._steering = contextlib.AsyncExitStack()
        self.powerdns: PowerDns | None = None
        self.registry: Registry | None = None
        """Where customers delegate domains of their own."""
        self.token = ""
        """A read-write cloud token of the sandbox's demo project."""
        self.console_url = ""
        self._tools: dict[str, str] = {}
        self._sandbox: dict[str, str] = {}
        self._health: dict[str, int] = {}

    @property
    def accounts_dir(self) -> Path:
        """Folder of the gateway's local accounts."""
        return self.directory / "accounts"

    @property
    def sandbox_control(self) -> str:
        """Root of the sandbox's control API."""
        return self._sandbox["control"]

    @property
    def cloud_endpoint(self) -> str:
        """What the runner is told to use as the cloud."""
        return self._sandbox["endpoint"]

    @property
    def sandbox_root_ca(self) -> Path:
        """The root that signs the simulated Sovereigns' certificates."""
        return self.directory / "sandbox" / "root-ca.pem"

    async def __aenter__(self) -> Self:
        """Start everything; what had started is stopped again when a part does not."""
        try:
            await self._start()
            await self._steering.enter_async_context(steered(self.directory, self._obey))
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop everything."""
        await self.stop()

    async def stop(self) -> None:
        """Services first, then what they stand on."""
        await self._steering.aclose()
        await self.supervisor.stop_together([name for name in self.supervisor.names if name != "sandbox"])
        await self.supervisor.stop_all()
        if self.powerdns is not None:
            await self.powerdns.stop()
        if self.registry is not None:
            await self.registry.server.stop()
        await self.nats.stop()

    async def _start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tools = await tool_environment()
        await self._step("nats-server", self._start_nats())
        await self._step("DNS: a PowerDNS of ours, and a simulated registry's", self._start_powerdns())
        if self.options.sandbox:
            await self._step("sandbox (simulated Hetzner Cloud, servers and clusters)", self._start_sandbox())
        self.console_url = f"http://127.0.0.1:{self.options.console_port or free_port()}"
        await self._step(f"services: {', '.join(SERVICES)}", self._start_services())

    async def _step(self, what: str, work: Awaitable[None]) -> None:
        began = asyncio.get_running_loop().time()
        await work
        self._tell(f"{what} is up ({asyncio.get_running_loop().time() - began:.1f} s)")

    async def _start_nats(self) -> None:
        await self.nats.start()
        await make_topology(self.nats)

    async def _start_powerdns(self) -> None:
        try:
            program = PowerDnsProgram.told_by(self._tools)
        except KeyError as missing:
            raise DidNotStart(f"{missing} is not known: run make setup (it gets PowerDNS)") from None
        self.powerdns = PowerDns(program, self.directory / "powerdns")
        private_file(self.directory / "powerdns.key", self.powerdns.api_key)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.powerdns.start())
            if self.options.sandbox:
                self.registry = Registry(PowerDns(program, self.directory / "registry"))
                group.create_task(self.registry.open())

    async def _start_sandbox(self) -> None:
        folder = self.directory / "sandbox"
        folder.mkdir(exist_ok=True)
        self.token = cloud_token()
        tokens = [{"token": self.token, "project": "demo", "access": "read_write"}]
        private_file(folder / "tokens.json", json.dumps(tokens))
        ready_file = folder / "ready.json"
        ready_file.unlink(missing_ok=True)

        async def ready() -> bool:
            return ready_file.exists()

        environment = self._environment("sandbox") | {
            "SANDBOX_DIR": str(folder),
            "SANDBOX_TOKENS_FILE": str(folder / "tokens.json"),
            "SANDBOX_PORT": str(free_port()),
            "SANDBOX_KIT_DIR": str(CHECKOUT / "deploy" / "kit"),
            **({"SANDBOX_AGE": self._tools["CATALYST_AGE"]} if "CATALYST_AGE" in self._tools else {}),
            **self.options.overrides.get("sandbox", {}),
        }
        await self.supervisor.start(Program("sandbox", (sys.executable, "-m", "sandbox"), environment, ready))
        self._sandbox = json.loads(ready_file.read_text())

    async def _start_services(self) -> None:
        self.accounts_dir.mkdir(exist_ok=True, mode=0o700)
        for name in ("minting", "session"):
            file = self.directory / f"{name}.key"
            if not file.exists():
                private_file(file, secrets.token_hex(32))
        try:
            async with asyncio.TaskGroup() as group:
                for service in SERVICES:
                    for number in range(1, self.options.replicas.get(service, 1) + 1):
                        group.create_task(self.start_replica(service, number))
        except ExceptionGroup as failed:
            # The others were ended because of the first: it alone says why.
            raise failed.exceptions[0] from None

    async def scale(self, service: str, replicas: int) -> None:
        """Start or drain replicas until there are so many; ValueError says why that cannot be."""
        if service not in SCALABLE:
            raise ValueError(f"{service or 'nothing'} cannot be scaled here; these can: {', '.join(SCALABLE)}")
        if not 1 <= replicas <= MOST_REPLICAS:
            raise ValueError(f"{service}={replicas}: give 1 to {MOST_REPLICAS}")
        names = [_replica(service, number) for number in range(1, MOST_REPLICAS + 1)]
        await self.supervisor.stop_together(names[replicas:])
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names[:replicas], start=1):
                if name not in self.supervisor.names:
                    group.create_task(self.start_replica(service, number))

    async def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """What ``catalyst scale`` asks for; the answer is what runs afterwards."""
        try:
            for service, replicas in order.get("scale", {}).items():
                await self.scale(str(service), int(replicas))
        except (ValueError, DidNotStart) as why:
            return {"error": str(why)}
        names = self.supervisor.names
        return {
            "runs": [{"name": n, "pid": self.supervisor.pid(n), "starts": self.supervisor.starts(n)} for n in names]
        }

    async def start_replica(self, service: str, number: int) -> None:
        """Start one replica of a service and wait until it is ready."""
        name = _replica(service, number)
        port = self._health.setdefault(name, free_port())
        environment = {
            **self._environment(service),
            **self.nats.environment(service),
            "CATALYST_REPLICA": name,
            "CATALYST_HEALTH_PORT": str(port),
            **self._service_environment(service),
            **self.options.overrides.get(service, {}),
        }
        module = service.replace("-", "_")
        program = Program(name, (sys.executable, "-m", module), environment, lambda: is_ready(port))
        await self.supervisor.start(program)

    def _environment(self, _name: str) -> dict[str, str]:
        """A short environment: nothing of ours leaks into a service by accident."""
        return {key: os.environ[key] for key in _KEPT if key in os.environ} | {"PYTHONUNBUFFERED": "1"}

    def _service_environment(self, service: str) -> dict[str, str]:
        build = {
            "intake": self._intake,
            "dns-pdm": self._dns_pdm,
            "tofu-runner": self._tofu_runner,
            "flux-watcher": self._flux_watcher,
            "gateway": self._gateway,
        }
        return build[service]()

    def _intake(self) -> dict[str, str]:
        catalogue = str(CHECKOUT / "deploy" / "kit" / "catalogue.yaml")
        found = {"INTAKE_CATALOGUE_FILE": catalogue, "INTAKE_DOOR_OWNER": self.options.owner}
        simulated = {"INTAKE_POOL_DOMAINS": json.dumps([POOL_DOMAIN])}
        return found | simulated if self.options.sandbox else found

    def _dns_pdm(self) -> dict[str, str]:
        dns = self.dns
        zone_door = free_port()
        found = {
            "DNS_PDM_POWERDNS_URL": dns.api_url,
            "DNS_PDM_POWERDNS_KEY_FILE": str(self.directory / "powerdns.key"),
            "DNS_PDM_MINTING_KEY_FILE": str(self.directory / "minting.key"),
            "DNS_PDM_ZONE_DOOR_PORT": str(zone_door),
            "DNS_PDM_ZONE_DOOR_URL": f"http://127.0.0.1:{zone_door}",
        }
        return found | self._simulated_names(dns) if self.options.sandbox else found

    def _simulated_names(self, dns: PowerDns) -> dict[str, str]:
        """A tree of names that exists on this machine only, and waits that fit it."""
        hosts = {name: [f"127.0.0.1:{dns.dns_port}"] for name in NAMESERVERS}
        if self.registry is not None:
            hosts |= {name: [f"127.0.0.1:{self.registry.server.dns_port}"] for name in HOSTS}
        return {
            "DNS_PDM_POOL_DOMAINS": json.dumps([POOL_DOMAIN]),
            "DNS_PDM_NAMESERVERS": json.dumps(NAMESERVERS),
            "DNS_PDM_NAMESERVER_ADDRESSES": json.dumps({name: ["127.0.0.1"] for name in NAMESERVERS}),
            "DNS_PDM_CREATE_POOL_ZONES": "true",
            "DNS_PDM_TREE_ZONES": json.dumps({POOL_DOMAIN: NAMESERVERS, CUSTOMER_ZONE: HOSTS}),
            "DNS_PDM_TREE_HOSTS": json.dumps(hosts),
            "DNS_PDM_RESOLVERS": json.dumps([f"127.0.0.1:{dns.dns_port}"]),
            "DNS_PDM_UPDATE_SERVER": f"127.0.0.1:{dns.dns_port}",
            "DNS_PDM_REGISTRAR_URLS": json.dumps(
                {name: f"{self._sandbox['url']}/registrars/{name}" for name in get_args(RegistrarName)}
            ),
            "DNS_PDM_FIRST_CHECK_S": "2",
            "DNS_PDM_DS_TTL_S": "2",
        }

    def _tofu_runner(self) -> dict[str, str]:
        return {
            **{key: self._tools[key] for key in ("CATALYST_TOFU", "CATALYST_TOFU_CLI_CONFIG") if key in self._tools},
            "TOFU_RUNNER_NODE_DOOR_URL": self.console_url,
            **(self._simulated_cloud() if self.options.sandbox else {}),
        }

    def _simulated_cloud(self) -> dict[str, str]:
        """Where the sandbox is, and waits that fit a cloud that is never slow."""
        return {
            "TOFU_RUNNER_HCLOUD_ENDPOINT": self.cloud_endpoint,
            "TOFU_RUNNER_SAMPLE_PRICES": "true",
            "TOFU_RUNNER_KIT_URL": "https://git.sandbox.example/catalyst-kit.git",
            "TOFU_RUNNER_KIT_REVISION": "main",
            "TOFU_RUNNER_POLL_S": "0.2",
            "TOFU_RUNNER_THROTTLE_PATIENCE_S": "3",
            "TOFU_RUNNER_THROTTLE_CALLS": "10",
            "TOFU_RUNNER_CLOUD_TIMEOUT_S": "3",
            "TOFU_RUNNER_WITHDRAW_DEADLINE_S": "60",
            "TOFU_RUNNER_PLACES": "3",
        }

    def _flux_watcher(self) -> dict[str, str]:
        found = {"FLUX_WATCHER_KIT_CATALOGUE": str(CHECKOUT / "deploy" / "kit" / "catalogue.yaml")}
        simulated = {
            "FLUX_WATCHER_HTTPS_PORT": "8443",
            "FLUX_WATCHER_RESOLVERS": f"127.0.0.1:{self.dns.dns_port}",
            "FLUX_WATCHER_TRUST_ROOTS": str(self.sandbox_root_ca),
            "FLUX_WATCHER_STABLE_S": "3",
            "FLUX_WATCHER_BUSY_S": "1",
            "FLUX_WATCHER_PROBE_S": "1",
        }
        return found | simulated if self.options.sandbox else found

    def _gateway(self) -> dict[str, str]:
        return {
            "GATEWAY_PORT": self.console_url.rsplit(":", 1)[1],
            "GATEWAY_PUBLIC_URL": self.console_url,
            "GATEWAY_ACCOUNTS_DIR": str(self.accounts_dir),
            "GATEWAY_SESSION_KEY_FILE": str(self.directory / "session.key"),
            "GATEWAY_SANDBOX": json.dumps(self.options.sandbox),
        }

    @property
    def dns(self) -> PowerDns:
        """The DNS server."""
        if self.powerdns is None:
            raise RuntimeError("PowerDNS is not up")
        return self.powerdns


def _replica(service: str, number: int) -> str:
    return service if number == 1 else f"{service}-{number}"


async def is_ready(port: int) -> bool:
    """Whether a service says so itself."""
    try:
        timeout = aiohttp.ClientTimeout(total=2)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://127.0.0.1:{port}/readyz") as r,
        ):
            return r.status == 200  # noqa: PLR2004 - HTTP's own word
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


def cloud_token() -> str:
    """64 letters and digits, as Hetzner Cloud tokens are."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    return "".join(secrets.choice(alphabet) for _ in range(64))


def private_file(path: Path, text: str) -> None:
    """Write a file that only we can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
