"""The load balancers' data plane: real TCP from lb_ip:listen_port to the targets' loopback addresses.

Ports below 1024 are served, and reached at the targets, at port + 8000, so that nothing needs to be root. A target is
healthy when its destination port accepts a connection. Checks run in one loop with a fixed budget of connections per
second, whatever the number of load balancers, and at most one per second and target; a connection that cannot reach a
target tries the next and marks it. Protocol `http` and `https` are forwarded as plain TCP; firewalls do not filter.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sandbox.hetzner import labels as labels_module
from sandbox.hetzner.directory import address_in
from sandbox.hetzner.resources.load_balancers import target_key
from sandbox.hetzner.state import Cloud, Project, Record

log = logging.getLogger(__name__)

PRIVILEGED: Final = 1024
SHIFT: Final = 8000
_CONNECT_S: Final = 2.0
_CHUNK: Final = 1 << 16
_CHECKS_PER_TURN: Final = 20
_TURN_S: Final = 0.1
_ROUND_S: Final = 1.0


def served_port(port: int) -> int:
    """Where a port is really served on loopback."""
    return port + SHIFT if port < PRIVILEGED else port


@dataclass
class _Listening:
    """One open listening socket of a load balancer."""

    server: asyncio.Server
    turn: int = 0


@dataclass
class Forwarder:
    """Keeps a listening socket for every service of every load balancer, and forwards what comes in."""

    cloud: Cloud
    _open: dict[tuple[int, int], _Listening] = field(default_factory=dict)
    _changed: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    _connections: set["asyncio.Task[None]"] = field(default_factory=set)

    def rebalance(self, balancer_id: int) -> None:
        """Note that a load balancer changed or went; `run` follows."""
        self._changed.put_nowait(balancer_id)

    async def run(self) -> None:
        """Follow changes and check health until cancelled; then close every socket."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(), name="forwarder-follow")
                group.create_task(self._check(), name="forwarder-check")
        finally:
            for listening in self._open.values():
                listening.server.close()
            for task in list(self._connections):
                task.cancel()
            self._open.clear()

    async def _follow(self) -> None:
        while True:
            await self._settle(await self._changed.get())

    async def _settle(self, balancer_id: int) -> None:
        project, balancer = self._find(balancer_id)
        wanted: set[int] = set()
        if project is not None and balancer is not None and balancer["public_net"]["enabled"]:
            wanted = {service["listen_port"] for service in balancer["services"]}
        for key in [k for k in self._open if k[0] == balancer_id and k[1] not in wanted]:
            self._open.pop(key).server.close()
        for port in wanted:
            if (balancer_id, port) not in self._open and balancer is not None:
                await self._listen(balancer_id, balancer["public_net"]["ipv4"]["ip"], port)

    async def _listen(self, balancer_id: int, address: str, port: int) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)
            await self._forward(balancer_id, port, reader, writer)

        try:
            server = await asyncio.start_server(accept, address, served_port(port))
        except OSError as error:
            log.warning("load balancer cannot listen", extra={"address": address, "port": port, "error": str(error)})
            return
        self._open[balancer_id, port] = _Listening(server)

    async def _forward(
        self, balancer_id: int, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            upstream = await self._connected(balancer_id, port)
            if upstream is None:
                return
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_copy(reader, upstream[1]))
                    group.create_task(_copy(upstream[0], writer))
            except* OSError:
                pass  # either side hung up: so does the other
            finally:
                upstream[1].close()
        finally:
            writer.close()

    async def _connected(self, balancer_id: int, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        project, balancer = self._find(balancer_id)
        listening = self._open.get((balancer_id, port))
        if project is None or balancer is None or listening is None:
            return None
        targets = [t for t in reached(project, balancer) if t.listen_port == port]
        listening.turn += 1
        offset = listening.turn % len(targets) if targets else 0
        turned = targets[offset:] + targets[:offset]
        healthy_first = sorted(turned, key=lambda t: balancer["_health"].get(t.health_key) == "unhealthy")
        for target in healthy_first:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    connection = await asyncio.open_connection(target.address, target.port)
            except OSError:
                _mark(balancer, target, healthy=False)
                continue
            _mark(balancer, target, healthy=True)
            return connection
        return None

    async def _check(self) -> None:
        while True:
            budget = _CHECKS_PER_TURN
            for balancer, target in self._all_targets():
                _mark(balancer, target, healthy=await _accepts(target))
                budget -= 1
                if budget == 0:
                    await asyncio.sleep(_TURN_S)
                    budget = _CHECKS_PER_TURN
            await asyncio.sleep(_ROUND_S)

    def _all_targets(self) -> Iterator[tuple[Record, "Reached"]]:
        for project in list(self.cloud.projects.values()):
            for balancer in list(project.tables["load_balancers"].values()):
                for target in reached(project, balancer):
                    yield balancer, target

    def _find(self, balancer_id: int) -> tuple[Project | None, Record | None]:
        project = self.cloud.home.get(balancer_id)
        return project, project.tables["load_balancers"].get(balancer_id) if project else None


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a target's connections go for one service."""

    health_key: str
    listen_port: int
    address: str
    port: int


def reached(project: Project, balancer: Record) -> list[Reached]:
    """Every target of every service with its real address."""
    addresses = dict(pair for target in balancer["targets"] for pair in _addresses(project, balancer, target))
    return [
        Reached(
            f"{key}:{service['listen_port']}", service["listen_port"], address, served_port(service["destination_port"])
        )
        for service in balancer["services"]
        for key, address in addresses.items()
    ]


def _addresses(project: Project, balancer: Record, target: Record) -> Iterator[tuple[str, str]]:
    if target["type"] == "label_selector":
        selector = labels_module.parse(target["label_selector"]["selector"])
        for server in project.selected("servers", selector):
            yield f"server:{server['id']}", server["_address"]
    elif target["type"] == "server":
        named = project.tables["servers"].get(target["server"]["id"])
        if named is not None:
            yield target_key(target), named["_address"]
    else:
        address = target["ip"]["ip"]
        for net in balancer["private_net"]:
            address = address_in(project, net["network"], address) or address
        yield target_key(target), address


def _mark(balancer: Record, target: Reached, *, healthy: bool) -> None:
    balancer["_health"][target.health_key] = "healthy" if healthy else "unhealthy"


async def _accepts(target: Reached) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(target.address, target.port)
    except OSError:
        return False
    writer.close()
    return True


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
