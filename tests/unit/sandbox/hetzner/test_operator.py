"""Orders reach machines in order for each server, and one that fails stops nobody else."""

import asyncio
from collections.abc import Mapping

from sandbox.hetzner.machines import Machine
from sandbox.hetzner.operator import Operator
from sandbox.hetzner.state import MachineOrder


class _Directory:
    def machine(self, server_id: int) -> Machine | None:
        if server_id == 404:
            return None
        return Machine(
            id=server_id,
            name=f"server-{server_id}",
            project="p",
            server_type="cx23",
            architecture="x86",
            location="fsn1",
            image="debian-13",
            user_data="",
            public_ipv4="127.64.0.1",
            private_ips=(),
            labels={},
        )

    def machines(self, project: str, labels: Mapping[str, str]) -> list[Machine]:
        return []

    def address_behind(self, server_id: int, private_ip: str) -> str | None:
        return None

    def load_balancer_address(self, project: str, labels: Mapping[str, str]) -> str | None:
        return None


class _Machines:
    """Remembers what was done, and when everything expected has been."""

    def __init__(self, expected: int) -> None:
        self.done: list[tuple[str, int]] = []
        self.slow = asyncio.Event()
        self.all_done = asyncio.Event()
        self._expected = expected

    async def power_on(self, machine: Machine) -> None:
        if machine.id == 1:
            await self.slow.wait()
        self._note("on", machine.id)

    async def power_off(self, server_id: int) -> None:
        if server_id == 13:
            message = "no such switch"
            raise OSError(message)
        self._note("off", server_id)

    async def remove(self, server_id: int) -> None:
        self._note("remove", server_id)

    def _note(self, verb: str, server_id: int) -> None:
        self.done.append((verb, server_id))
        if len(self.done) == self._expected:
            self.all_done.set()


async def test_orders_of_one_server_keep_their_order_while_others_go_ahead() -> None:
    machines = _Machines(expected=6)
    operator = Operator(_Directory(), machines)
    running = asyncio.get_running_loop().create_task(operator.run())
    for verb, server_id in (("on", 1), ("off", 1), ("on", 2), ("off", 13), ("remove", 13), ("on", 404), ("remove", 1)):
        operator.submit(MachineOrder(verb, server_id))  # type: ignore[arg-type]  # literals out of a tuple
    while ("on", 2) not in machines.done:
        await asyncio.sleep(0)
    assert ("on", 1) not in machines.done
    machines.slow.set()
    operator.submit(MachineOrder("on", 13))
    async with asyncio.timeout(5):
        await machines.all_done.wait()
    assert [verb for verb, server_id in machines.done if server_id == 1] == ["on", "off", "remove"]
    assert [verb for verb, server_id in machines.done if server_id == 13] == ["remove", "on"]
    running.cancel()
    await asyncio.wait({running})
