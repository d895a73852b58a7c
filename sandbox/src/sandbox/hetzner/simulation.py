"""One simulated cloud, put together: what is remembered is loaded, what was under way goes on."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from sandbox.hetzner.actions import Actions
from sandbox.hetzner.api import Api, Inspect
from sandbox.hetzner.catalogue import Catalogue
from sandbox.hetzner.directory import CloudDirectory
from sandbox.hetzner.faults import Faults
from sandbox.hetzner.forwarder import Forwarder
from sandbox.hetzner.journal import Change, Journal
from sandbox.hetzner.ledger import Ledger
from sandbox.hetzner.machines import Machines
from sandbox.hetzner.operator import Operator
from sandbox.hetzner.rate import Bucket
from sandbox.hetzner.resources import FINISHES, ROUTES, UNDOES
from sandbox.hetzner.state import Capacity, Cloud, Effect, MachineOrder, Outside, Project, Record
from sandbox.hetzner.tokens import Tokens

_FLUSH_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be chosen when a simulation is made."""

    directory: Path
    ipv4_range: IPv4Network
    rate_limit: int
    rate_per_second: float
    durations: Mapping[str, float]


class Simulation:
    """The parts of a simulated cloud; `run` is its life."""

    def __init__(self, options: Options, inspect: Inspect | None = None) -> None:
        self._journal = Journal(options.directory)
        remembered = self._journal.load()
        outside = Outside(journal=self._journal.append)
        self.cloud = Cloud(Catalogue(), outside, options.ipv4_range)
        self.directory = CloudDirectory(self.cloud)
        self.forwarder = Forwarder(self.cloud)
        self.tokens = Tokens(self.cloud)
        self.faults = Faults()
        self.ledger = Ledger(options.directory / "ledger.jsonl")
        loop = asyncio.get_running_loop()
        self.actions = Actions(self.cloud, FINISHES, UNDOES, dict(options.durations), loop.call_later, self._ended)
        self.api = Api(
            cloud=self.cloud,
            actions=self.actions,
            routes=ROUTES,
            tokens=self.tokens,
            faults=self.faults,
            ledger=self.ledger,
            new_bucket=lambda: Bucket(options.rate_limit, options.rate_per_second),
            inspect=inspect,
        )
        outside.rebalance = self.forwarder.rebalance
        self._remember(remembered)

    async def run(self, machines: Machines) -> None:
        """Operate machines and load balancers until cancelled."""
        operator = Operator(self.directory, machines)
        self.cloud.outside.order = operator.submit
        self._go_on()
        async with asyncio.TaskGroup() as group:
            group.create_task(operator.run(), name="operator")
            group.create_task(self.forwarder.run(), name="forwarder")
            group.create_task(self._flush(), name="ledger-flush")

    def close(self) -> None:
        """Leave everything as the next start is to find it."""
        self.actions.pause()
        self.ledger.close()
        self._journal.close()

    def save(self, name: str, record: Record) -> None:
        """Keep something that belongs to the whole cloud."""
        self.cloud.changed["", name, 0] = record
        self.cloud.commit()

    def set_capacity(self, location: str, server_type: str, capacity: Capacity | None) -> None:
        """Bound, or no longer bound, how many servers can be placed; the catalogue's availability follows."""
        if capacity is None:
            self.cloud.capacity.pop((location, server_type), None)
        else:
            self.cloud.capacity[location, server_type] = capacity
        self._show_availability()
        self.save("capacity", {"entries": self.capacity_described()})

    def capacity_described(self) -> list[dict[str, Any]]:
        """Every bound on capacity."""
        return [
            {
                "location": location,
                "server_type": server_type,
                "remaining": capacity.remaining,
                "code": capacity.code,
                "message": capacity.message,
            }
            for (location, server_type), capacity in self.cloud.capacity.items()
        ]

    def _show_availability(self) -> None:
        bounded = self.cloud.capacity
        for server_type in self.cloud.catalogue.server_types.values():
            for offer in server_type["locations"]:
                keys = ((offer["name"], server_type["name"]), (offer["name"], "*"), ("*", server_type["name"]))
                full = any(bounded[key].remaining <= 0 for key in keys if key in bounded)
                offer["available"] = offer["deprecation"] is None and not full

    def _ended(self, project: Project, action: Record, effects: list[Effect]) -> None:
        self.ledger.action(project=project.name, action=action, effects=effects)

    def _remember(self, changes: list[Change]) -> None:
        for project, kind, _, record in changes:
            if record is None:
                continue
            if project:
                self.cloud.project(project).restore(kind, record)
            elif kind.startswith("token:"):
                self.tokens.restore(kind.removeprefix("token:"), record)
            elif kind == "limits":
                for name, limits in record.items():
                    self.cloud.project(name).limits.update(limits)
            elif kind == "capacity":
                for entry in record["entries"]:
                    bound = Capacity(remaining=entry["remaining"], code=entry["code"], message=entry["message"])
                    self.cloud.capacity[entry["location"], entry["server_type"]] = bound
            else:
                self.cloud.counters[kind] = record["value"]
        self._show_availability()

    def _go_on(self) -> None:
        """Boot what was running, listen where load balancers listened, and end what was under way."""
        for project in self.cloud.projects.values():
            for server in project.tables["servers"].values():
                if server["status"] == "running":
                    self.cloud.outside.order(MachineOrder("on", server["id"]))
            for balancer_id in project.tables["load_balancers"]:
                self.forwarder.rebalance(balancer_id)
        self.actions.resume()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            self.ledger.flush()
