"""Carries the cloud's orders to the machines: in order for each server, side by side for different ones."""

import asyncio
import logging
from collections import deque

from sandbox.hetzner.machines import Directory, Machines
from sandbox.hetzner.state import MachineOrder

log = logging.getLogger(__name__)


class Operator:
    """Owns the tasks that switch machines on and off."""

    def __init__(self, directory: Directory, machines: Machines) -> None:
        self._directory = directory
        self._machines = machines
        self._waiting: dict[int, deque[MachineOrder]] = {}
        self._new: asyncio.Queue[int] = asyncio.Queue()

    def submit(self, order: MachineOrder) -> None:
        """Note an order; `run` carries it out."""
        if order.server_id in self._waiting:
            self._waiting[order.server_id].append(order)
        else:
            self._waiting[order.server_id] = deque([order])
            self._new.put_nowait(order.server_id)

    async def run(self) -> None:
        """Carry orders out until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                server_id = await self._new.get()
                group.create_task(self._drain(server_id), name=f"machine-{server_id}")

    async def _drain(self, server_id: int) -> None:
        orders = self._waiting[server_id]
        while orders:
            order = orders.popleft()
            try:
                await self._carry_out(order)
            except Exception:  # one machine that fails must not take the cloud down
                log.exception("machine order failed", extra={"server": server_id, "verb": order.verb})
        del self._waiting[server_id]

    async def _carry_out(self, order: MachineOrder) -> None:
        match order.verb:
            case "on":
                machine = self._directory.machine(order.server_id)
                if machine is not None:
                    await self._machines.power_on(machine)
            case "off":
                await self._machines.power_off(order.server_id)
            case "remove":
                await self._machines.remove(order.server_id)
