"""One simulated server: what the cloud says of it, its disk, and what its boot has come to."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sandbox.hetzner.machines import Machine
from sandbox.node.cloud_config import CloudConfig, File
from sandbox.node.scenario import BootFault

logger = logging.getLogger(__name__)

SOVEREIGN_LABEL = "catalyst-zero/sovereign"


@dataclass(slots=True)
class Server:
    """A server that is or was powered on."""

    machine: Machine
    home: Path
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """Which server a stand-in speaks for."""

    booted: bool = False
    """Its user data was followed once: cloud-init does so once per server."""

    faults: tuple[BootFault, ...] = ()
    stages: list[str] = field(default_factory=list)
    """Stages of this boot that called a stand-in, in order."""

    rules: set[tuple[str, ...]] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    """Units that start at power on."""

    started: set[str] = field(default_factory=set)
    """Units that were asked to start."""

    active: set[str] = field(default_factory=set)
    """Units that run."""

    journal: list[str] = field(default_factory=list)
    """What the simulated k3s said."""

    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when whatever runs on the server must end."""

    still: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when whatever ran on the server has ended."""

    @property
    def root(self) -> Path:
        """Its disk."""
        return self.home / "root"

    @property
    def console(self) -> Path:
        """What its boot printed."""
        return self.home / "console.log"

    @property
    def sovereign(self) -> tuple[str, str]:
        """Project and Sovereign: servers with the same are one cluster."""
        return self.machine.project, self.machine.labels.get(SOVEREIGN_LABEL, self.machine.name)

    def path(self, absolute: str) -> Path:
        """Where an absolute path of the server lies on this computer."""
        within = PurePosixPath(absolute)
        if within.is_relative_to(self.root):
            within = PurePosixPath("/") / within.relative_to(self.root)
        if not within.is_absolute() or ".." in within.parts:
            raise ValueError(f"{absolute} is no absolute path")
        return self.root / within.relative_to("/")

    def fault(self, stage: str, *kinds: str) -> BootFault | None:
        """The fault of this boot that the stage meets, if it is one of these kinds."""
        return next((each for each in self.faults if each.stage == stage and each.kind in kinds), None)

    def say(self, line: str) -> None:
        """One line of the simulated k3s; only the last are kept, as a journal is read."""
        self.journal = [*self.journal, line][-200:]


def write_disk(server: Server, config: CloudConfig, sandbox_url: str, *, from_own_address: bool = True) -> None:
    """Make the server's disk as cloud-init would, and what its stand-ins need beside it."""
    for folder in ("etc", "run", "tmp", "var/lib", "var/log", "usr/local/bin", "opt"):
        (server.root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    for file in config.files:
        _write(server, file)
    (server.root / "etc/hostname").write_text(f"{config.hostname or server.machine.name}\n")
    _private(server.home / "header", f"Authorization: Bearer {server.token}\n")
    # What a server says to the world comes from its own address, where that reaches it.
    interface = f'interface = "{server.machine.public_ipv4}"\n' if from_own_address else ""
    (server.home / ".curlrc").write_text(interface)
    (server.home / "sandbox-url").write_text(sandbox_url)


def _write(server: Server, file: File) -> None:
    path = server.path(str(file.path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if file.append else "wb") as written:
        path.chmod(0o600)
        written.write(file.content)
    path.chmod(file.mode)


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def forget_disk(server: Server) -> None:
    """The server is deleted, and its disk with it."""
    shutil.rmtree(server.home, ignore_errors=True)
