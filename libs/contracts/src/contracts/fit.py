"""Does a selection of components fit the servers that were chosen? Asked before money is spent.

What pods ask for is compared with what the servers have left beside Kubernetes itself. Volumes lie on the servers'
own disks (local-path), so they count too. The answer says by how much it does not fit, and the cheapest change of
the topology with which it would.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from contracts.kit import Kit, Need
from contracts.request import Topology

CONTROL_PLANE_RESERVE: Final = Need(cpu=500, memory=1280, disk=20 * 1024)
"""What k3s, etcd and the system take of a control plane (k3s asks for 2 cores and 2 GiB; at rest it uses this)."""
WORKER_RESERVE: Final = Need(cpu=200, memory=512, disk=20 * 1024)
"""The same of a worker: an agent, the system, and room for images."""
_MOST_WORKERS: Final = 50


@dataclass(frozen=True)
class Size:
    """What a server type has, and what it costs a month when that is known."""

    cores: int
    memory_gib: float
    disk_gib: int
    monthly: float = 0.0

    @property
    def whole(self) -> Need:
        """All of it."""
        return Need(cpu=self.cores * 1000, memory=int(self.memory_gib * 1024), disk=self.disk_gib * 1024)


@dataclass(frozen=True)
class Fit:
    """How a selection and its servers compare."""

    asked: Need
    room: Need
    instead: str = ""
    """A topology with which it would fit, in words; empty when it does, or when none is known."""

    @property
    def lacking(self) -> Need:
        """What is missing; nothing when it fits."""
        return Need(
            cpu=max(0, self.asked.cpu - self.room.cpu),
            memory=max(0, self.asked.memory - self.room.memory),
            disk=max(0, self.asked.disk - self.room.disk),
        )

    @property
    def fits(self) -> bool:
        """Whether nothing is missing."""
        return self.lacking == Need()

    @property
    def message(self) -> str:
        """For a person: what it asks, what there is, by how much it does not fit and what would."""
        whole = f"the selection asks for {told(self.asked)}; these servers have {told(self.room)} left for it"
        if self.fits:
            return whole
        way = f"; with {self.instead} it would fit" if self.instead else "; choose less, or larger servers"
        return f"{whole}: it lacks {told(self.lacking)}{way}"


def told(need: Need) -> str:
    """An amount in words; what is zero is left out."""
    parts = [
        f"{need.cpu / 1000:.1f} cores" if need.cpu else "",
        f"{need.memory / 1024:.1f} GiB of memory" if need.memory else "",
        f"{need.disk / 1024:.0f} GiB of disk" if need.disk else "",
    ]
    return ", ".join(part for part in parts if part) or "nothing"


def fit(kit: Kit, chosen: Iterable[str], topology: Topology, sizes: Mapping[str, Size]) -> Fit:
    """How a selection fits a topology; KeyError for a server type whose size is not given."""
    names = tuple(chosen)
    asked, room = _both(kit, names, topology, sizes)
    here = Fit(asked, room)
    return here if here.fits else replace(here, instead=_instead(kit, names, topology, sizes))


def _both(kit: Kit, chosen: tuple[str, ...], topology: Topology, sizes: Mapping[str, Size]) -> tuple[Need, Need]:
    planes, workers = topology.control_plane_count, topology.worker_count
    room = _left(sizes[topology.control_plane_type], CONTROL_PLANE_RESERVE).times(planes)
    if workers:
        room = room + _left(sizes[topology.worker_type], WORKER_RESERVE).times(workers)
    return kit.need(chosen, planes + workers), room


def _left(size: Size, reserve: Need) -> Need:
    whole = size.whole
    return Need(
        cpu=max(0, whole.cpu - reserve.cpu),
        memory=max(0, whole.memory - reserve.memory),
        disk=max(0, whole.disk - reserve.disk),
    )


def _instead(kit: Kit, chosen: tuple[str, ...], topology: Topology, sizes: Mapping[str, Size]) -> str:
    """The cheapest of: more workers of the same type, a larger worker type, a larger control plane type."""
    cheapest: tuple[float, str] | None = None
    for other, words in _others(topology, sizes):
        asked, room = _both(kit, chosen, other, sizes)
        price = _price(other, sizes)
        if Fit(asked, room).fits and (cheapest is None or (price, words) < cheapest):
            cheapest = (price, words)
    return cheapest[1] if cheapest else ""


def _others(topology: Topology, sizes: Mapping[str, Size]) -> Iterable[tuple[Topology, str]]:
    if topology.worker_type in sizes:
        for count in range(topology.worker_count + 1, _MOST_WORKERS + 1):
            words = f"{count} worker{'s' if count > 1 else ''} of {topology.worker_type}"
            yield topology.model_copy(update={"worker_count": count}), words
    for name in sizes:
        if topology.worker_count:
            yield topology.model_copy(update={"worker_type": name}), f"worker type {name}"
        yield topology.model_copy(update={"control_plane_type": name}), f"control plane type {name}"


def _price(topology: Topology, sizes: Mapping[str, Size]) -> float:
    workers = topology.worker_count * sizes[topology.worker_type].monthly if topology.worker_count else 0.0
    return topology.control_plane_count * sizes[topology.control_plane_type].monthly + workers
