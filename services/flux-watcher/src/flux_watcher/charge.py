"""What the watcher has to do for a Sovereign just now: a pure function of what the stream says.

A Sovereign is watched from the moment that its kubeconfig was handed in and the outputs are known (in either order)
until our access is given up, for the newest run whose outputs are known. A cancelled run is watched no longer, its
retry is. One that was handed over is only probed, since nothing of ours works inside any more.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.event import About
from contracts.flux import FluxReleased
from contracts.history import History, Recorded
from contracts.identity import fqdn_of
from contracts.node import NodeEnrolled
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignHandedOver,
    SovereignRequested,
)
from contracts.tofu import TofuApplied


@dataclass(frozen=True)
class Charge:
    """One Sovereign's watch."""

    mode: Literal["cluster", "probe"]
    about: About
    cause: UUID
    """The id from which every fact of this watch derives its own."""
    address: str
    """Of the load balancer, from the outputs."""
    nodes: tuple[str, ...]
    components: tuple[str, ...]
    begun_at: datetime
    secret: str = ""
    """Name of the sealed kubeconfig."""

    @property
    def fqdn(self) -> str:
        """The Sovereign's name."""
        return fqdn_of(self.about.sovereign)


def charge_of(history: History) -> Charge | None:
    """What is to be done for this Sovereign; None when nothing is."""
    requested, applied = history.last(SovereignRequested), history.last(TofuApplied)
    if not history.alive or requested is None or applied is None:
        return None
    if history.last(SovereignDecommissionRequested) is not None or _cancelled(history, applied.event.run):
        return None
    enrolled = history.last(NodeEnrolled)
    if given_up(history):
        released = history.last(FluxReleased)
        under_way = applied.event.run == requested.event.run
        if not under_way or (released is not None and released.event.run >= applied.event.run):
            return None
        return _charge(history, "probe", requested, applied, enrolled or applied)
    if enrolled is None:
        return None
    return _charge(history, "cluster", requested, applied, enrolled)


def given_up(history: History) -> bool:
    """Whether our access to this life's cluster is revoked."""
    released = history.data(FluxReleased)
    return history.last(SovereignHandedOver) is not None or (released is not None and released.verified)


def _cancelled(history: History, run: int) -> bool:
    cancel = history.last(SovereignCancelRequested)
    return cancel is not None and cancel.event.run >= run


def _charge(
    history: History,
    mode: Literal["cluster", "probe"],
    requested: Recorded,
    applied: Recorded,
    cause: Recorded,
) -> Charge:
    outputs: TofuApplied = applied.event.data
    request: SovereignRequested = requested.event.data
    enrolled = history.data(NodeEnrolled)
    return Charge(
        mode=mode,
        about=applied.event.about,
        cause=cause.event.id,
        address=outputs.load_balancer_ipv4,
        nodes=tuple(node.name for node in outputs.nodes),
        components=request.shape.components,
        begun_at=max(applied.event.time, cause.event.time),
        secret=enrolled.kubeconfig.name if enrolled else "",
    )
