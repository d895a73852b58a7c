"""The machines of the simulated cloud: on, they follow their user data; off, whatever ran on them ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sandbox.hetzner.machines import Directory, Machine
from sandbox.node import boot, cloud_config
from sandbox.node.commands import Commands
from sandbox.node.k3s import K3s
from sandbox.node.ports import Clusters
from sandbox.node.scenario import BootFault, BootScenario, Troubles
from sandbox.node.server import Server, forget_disk, write_disk
from sandbox.node.settings import NodeSettings
from sandbox.node.stand_ins import Programs, install
from sandbox.node.switchboard import Switchboard

logger = logging.getLogger(__name__)

_STAGES: Final = "/opt/catalyst/stages"


class SimulatedMachines:
    """Implements `sandbox.hetzner.machines.Machines`."""

    def __init__(
        self, settings: NodeSettings, programs: Programs, k3s: K3s, commands: Commands, group: asyncio.TaskGroup
    ) -> None:
        self.troubles = Troubles(BootScenario())
        self.switchboard = Switchboard(commands.respond, lambda: self.troubles)
        self._settings = settings
        self._programs = programs
        self._k3s = k3s
        self._commands = commands
        self._group = group
        self._turn = asyncio.Semaphore(settings.parallel_boots)
        self._servers: dict[int, Server] = {}
        self._running: dict[int, asyncio.Task[None]] = {}

    def look_around(self, directory: Directory) -> None:
        """Where servers see their surroundings: the simulated cloud itself, which exists only after its machines."""
        self._k3s.directory = directory
        self._commands.directory = directory

    def play(self, scenario: BootScenario) -> None:
        """Times and faults of the boots from now on."""
        self.troubles = Troubles(scenario)

    def add_fault(self, fault: BootFault) -> None:
        """One more thing that will go wrong."""
        self.troubles.add(fault)

    @property
    def servers(self) -> Mapping[int, Server]:
        """Servers that are or were on, by id."""
        return self._servers

    async def power_on(self, machine: Machine) -> None:
        """Boot this machine, or boot it again; harmless while it runs."""
        server = self._servers.get(machine.id)
        if server is None:
            home = self._settings.directory.resolve() / "servers" / str(machine.id)
            server = self._servers[machine.id] = Server(machine, home)
        running = self._running.get(machine.id)
        if running is not None and not running.done():
            return
        server.machine = machine
        server.gone.clear()
        self.switchboard.connect(server)
        self._running[machine.id] = self._group.create_task(self._live(server), name=f"server-{machine.name}")

    async def power_off(self, server_id: int) -> None:
        """End whatever runs on the machine; its disk stays."""
        server = self._servers.get(server_id)
        if server is None:
            return
        server.gone.set()
        self.switchboard.disconnect(server)
        server.active.clear()
        self._k3s.power_off(server)
        if running := self._running.pop(server_id, None):
            await asyncio.wait({running})

    async def remove(self, server_id: int) -> None:
        """End it and forget its disk."""
        await self.power_off(server_id)
        if server := self._servers.pop(server_id, None):
            await self._k3s.leave(server)
            await asyncio.to_thread(forget_disk, server)

    async def settled(self, server_id: int) -> None:
        """Wait until the machine has nothing more to do by itself."""
        if running := self._running.get(server_id):
            await asyncio.wait({running})

    async def close(self) -> None:
        """End everything."""
        for server_id in list(self._servers):
            await self.power_off(server_id)
        await self._k3s.stop()

    async def _live(self, server: Server) -> None:
        """What the machine does by itself from power on until it has nothing more to do."""
        try:
            if server.booted:
                await self._start_units(server)
            else:
                await self._first_boot(server)
        except OSError as error:
            logger.error(  # noqa: TRY400 - a full disk is said, not traced
                "a simulated server cannot boot", extra={"server": server.machine.name, "reason": str(error)}
            )

    async def _first_boot(self, server: Server) -> None:
        await asyncio.to_thread(server.home.mkdir, parents=True, exist_ok=True, mode=0o700)
        try:
            config = cloud_config.read(server.machine.user_data)
            own = self._settings.calls_from_own_address
            await asyncio.to_thread(write_disk, server, config, self.switchboard.url, from_own_address=own)
            lines = [boot.command_line(server, self._programs, command) for command in config.commands]
        except (cloud_config.Unreadable, boot.CannotRun) as reason:
            # cloud-init passes over what it cannot read; only the console knows.
            await asyncio.to_thread(_print, server.console, f"cloud-init: {reason}\n")
            return
        server.faults = self.troubles.draw(server.machine.name)
        server.stages.clear()
        async with self._turn:
            if server.gone.is_set():
                return
            server.booted = True
            logger.info("a simulated server boots", extra={"server": server.machine.name})
            status = 0
            for line in lines:
                status = await boot.run(server, self._programs, line, self.switchboard.url) or status
            await self._repeat(server, status)
        logger.info("a simulated server booted", extra={"server": server.machine.name, "status": status})

    async def _repeat(self, server: Server, status: int) -> None:
        """Stages that the scenario has run twice."""
        for fault in server.faults:
            if fault.kind == "repeats" and status == 0 and not server.gone.is_set():
                command = ("/bin/bash", f"{_STAGES}/{fault.stage}")
                line = boot.command_line(server, self._programs, command)
                await boot.run(server, self._programs, line, self.switchboard.url, stage=fault.stage)

    async def _start_units(self, server: Server) -> None:
        """A later power on: cloud-init has nothing to do, systemd starts what is enabled."""
        server.started |= server.units
        for unit in sorted(server.units):
            await self._k3s.try_to_run(server, unit)


def _print(console: Path, line: str) -> None:
    with console.open("a") as file:
        file.write(line)


@asynccontextmanager
async def build_machines(
    settings: NodeSettings, clusters: Clusters, directory: Directory | None = None
) -> AsyncIterator[SimulatedMachines]:
    """The machines' half of the simulated cloud, for as long as the block lasts."""
    more = {"age": settings.age.resolve()} if settings.age else {}
    programs = await asyncio.to_thread(
        install, settings.directory.resolve(), settings.clock_factor, settings.shortest_timeout_s, more
    )
    k3s = K3s(clusters)
    commands = Commands(k3s, programs.stand_ins)
    async with asyncio.TaskGroup() as group:
        machines = SimulatedMachines(settings, programs, k3s, commands, group)
        if directory is not None:
            machines.look_around(directory)
        async with machines.switchboard.serving():
            try:
                yield machines
            finally:
                await machines.close()
