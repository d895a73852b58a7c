"""A PowerDNS Authoritative Server of our own: an ordinary process of an ordinary user, on loopback.

One folder holds everything: configuration (0600, since the API key is in it), sqlite database, control socket, log.
The same folder started again is the same server with the same zones; ports and key stay the same for as long as
the object lives, so a restart after a crash needs no new settings anywhere.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import sqlite3
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import dns.asyncquery
import dns.message

from bus.lifeline import tied

_READY_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.02
_STOP_WITHIN_S = 5.0
_ANSWER_WITHIN_S = 5.0
_ATTEMPTS = 5
_KEPT_LOG_LINES = 20


class PowerDnsFailed(RuntimeError):
    """The server did not come up; its last words are in the message."""


@dataclass(frozen=True)
class PowerDnsProgram:
    """The installed or unpacked program and the files beside it."""

    server: Path
    schema: Path
    """``schema.sqlite3.sql`` of the sqlite backend."""
    module_dir: Path | None = None
    """Folder of the backend module; None takes the program's own default."""
    library_path: str = ""
    """Where an unpacked program finds its libraries; empty for an installed one."""

    @classmethod
    def told_by(cls, environment: "os._Environ[str] | dict[str, str]") -> Self:
        """The program that the CATALYST_PDNS_* variables name; KeyError names the one that is missing."""
        module_dir = environment.get("CATALYST_PDNS_MODULE_DIR", "")
        return cls(
            server=Path(environment["CATALYST_PDNS_SERVER"]),
            schema=Path(environment["CATALYST_PDNS_SCHEMA"]),
            module_dir=Path(module_dir) if module_dir else None,
            library_path=environment.get("CATALYST_PDNS_LIBRARY_PATH", ""),
        )


@dataclass
class PowerDns:
    """``async with PowerDns(program, folder) as server``: ready on entry, gone on exit, its folder kept."""

    program: PowerDnsProgram
    folder: Path
    address: str = "127.0.0.1"
    dns_port: int = 0
    """0 takes a free one, the same for UDP and TCP."""
    api_port: int = 0
    api_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    more_addresses: tuple[str, ...] = ()
    """Other loopback addresses on which it answers DNS, on the same port."""
    _process: asyncio.subprocess.Process | None = field(default=None, init=False, repr=False)

    @property
    def api_url(self) -> str:
        """Root of the HTTP API; the paths begin with ``/api/v1``."""
        return f"http://{self.address}:{self.api_port}"

    @property
    def pid(self) -> int:
        """The server's process id; 0 while it is down."""
        return self._process.pid if self._process and self._process.returncode is None else 0

    async def __aenter__(self) -> Self:
        """Start and wait until it answers."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Start on the known ports, or on free ones; another's port taken in between only costs another attempt."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ensure_database()
        chosen = not self.dns_port, not self.api_port
        for attempt in range(1, _ATTEMPTS + 1):
            self.dns_port = free_port(self.address, udp=True) if chosen[0] else self.dns_port
            self.api_port = free_port(self.address) if chosen[1] else self.api_port
            self._write_configuration()
            try:
                await self._launch()
            except PowerDnsFailed:
                await self.stop()
                if attempt == _ATTEMPTS or not any(chosen):
                    raise
            else:
                return

    async def stop(self) -> None:
        """Terminate; kill what does not end in time."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def kill(self) -> None:
        """End it as a crash would."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def wait(self) -> int:
        """Wait for the process to end, for supervisors; its exit status."""
        return await self._process.wait() if self._process else 0

    async def ask(self, name: str, kind: str) -> dns.message.Message:
        """What it answers over DNS, signatures wanted."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        return await dns.asyncquery.tcp(query, self.address, port=self.dns_port, timeout=_ANSWER_WITHIN_S)

    async def serves(self, zone: str) -> bool:
        """Whether it is authoritative for a zone: asked over DNS."""
        return bool((await self.ask(zone, "SOA")).answer)

    async def _launch(self) -> None:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        if self.program.library_path:
            environment["LD_LIBRARY_PATH"] = self.program.library_path
        with (self.folder / "pdns.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tied([str(self.program.server), f"--config-dir={self.folder}"]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise PowerDnsFailed(f"PowerDNS ended with {self._process.returncode}: {self._last_words()}")
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise PowerDnsFailed(f"PowerDNS not ready within {_READY_WITHIN_S:g} s: {self._last_words()}") from None

    async def _answers(self) -> bool:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                url = f"{self.api_url}/api/v1/servers/localhost"
                async with session.get(url, headers={"X-API-Key": self.api_key}) as answer:
                    return answer.status == HTTPStatus.OK
        return False

    def _last_words(self) -> str:
        lines = (self.folder / "pdns.log").read_text(errors="replace").splitlines()
        return " | ".join(lines[-_KEPT_LOG_LINES:])

    def _ensure_database(self) -> None:
        database = self.folder / "pdns.sqlite3"
        if database.exists():
            return
        draft = database.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(draft)) as connection:
            # Readers and the one writer do not wait for each other in this mode.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(self.program.schema.read_text())
            connection.commit()
        draft.replace(database)

    def _write_configuration(self) -> None:
        settings = {
            "launch": "gsqlite3",
            "gsqlite3-database": self.folder / "pdns.sqlite3",
            "gsqlite3-pragma-foreign-keys": 1,
            # Full: a machine that loses power loses no key of a zone that a parent's DS points at. PowerDNS's own
            # default is not to wait for the disk at all.
            "gsqlite3-pragma-synchronous": 2,
            "gsqlite3-dnssec": "yes",
            "local-address": ", ".join((self.address, *self.more_addresses)),
            "local-port": self.dns_port,
            "socket-dir": self.folder,
            "daemon": "no",
            "guardian": "no",
            "disable-syslog": "yes",
            "api": "yes",
            "api-key": self.api_key,
            "webserver-address": self.address,
            "webserver-port": self.api_port,
            "webserver-allow-from": "127.0.0.0/8",
            "webserver-loglevel": "none",
            "loglevel": 4,
            "version-string": "anonymous",
            # A zone that admits updates says so itself, for its own key; nobody takes a zone away whole.
            "dnsupdate": "yes",
            "allow-dnsupdate-from": "",
            "allow-axfr-ips": "",
            # What is written is what is answered: a check right after a write must not see a cache.
            "cache-ttl": 0,
            "negquery-cache-ttl": 0,
            "query-cache-ttl": 0,
            "zone-cache-refresh-interval": 0,
        }
        if self.program.module_dir:
            settings["module-dir"] = self.program.module_dir
        path = self.folder / "pdns.conf"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())


def free_port(address: str, *, udp: bool = False) -> int:
    """A port that nobody listens on just now: for TCP, and for UDP too when asked."""
    for _ in range(50):
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            stream.bind((address, 0))
            port = int(stream.getsockname()[1])
            if not udp:
                return port
            datagram = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                datagram.bind((address, port))
            except OSError:
                continue
            return port
    raise PowerDnsFailed(f"no port free for both UDP and TCP on {address}")
