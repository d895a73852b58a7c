"""What flux-watcher does about an event: mostly nothing but look, since the watch itself follows from the stream.

The replica that owns a Sovereign learns from the live feed that there is something to watch; hearing the event durably
as well means that none is lost to nobody. What ends a watch is a fact of ours, and what an operator commands is done
by whichever replica hears it: a command needs the credential, not the watch.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from bus import Refused, TryAgain
from contracts.event import Event, Fact
from contracts.flux import FluxReleased
from contracts.history import History
from contracts.node import NodeEnrolled
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignReady,
    SovereignReconcileRequested,
    SovereignSuspendRequested,
)
from contracts.tofu import TofuApplied
from flux_watcher.api import ApiTrouble, Denied, NotServed
from flux_watcher.charge import given_up
from flux_watcher.cluster import Cluster
from flux_watcher.kubeconfig import BadKubeconfig, read_kubeconfig
from flux_watcher.objects import FLUX_SYSTEM, GIT_REPOSITORY, HELM_RELEASE, KUSTOMIZATION, Kind
from flux_watcher.release import REMOVED, NotYet, Patience, revoke
from flux_watcher.watch import Connect, Secrets

ERASED = "sealed kubeconfig"
REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"
RESET_AT = "reconcile.fluxcd.io/resetAt"
"""With the same value: forget how often it failed."""
_RETRY = timedelta(seconds=10)


class NoAccess(Exception):
    """We hold no credential for this Sovereign's cluster."""


class Erased(NoAccess):
    """There was a credential, and it was erased."""


@dataclass(frozen=True)
class Door:
    """The way into a Sovereign's cluster, for as long as we have one."""

    secrets: Secrets
    connect: Connect
    api_port: int = 6443

    @asynccontextmanager
    async def open(self, history: History) -> AsyncIterator[Cluster]:
        """The cluster of the current life; NoAccess when there is no (good) kubeconfig or no address yet."""
        enrolled, applied = history.data(NodeEnrolled), history.data(TofuApplied)
        if enrolled is None or applied is None or given_up(history):
            raise NoAccess("nothing was handed in, or it was given up")
        try:
            access = read_kubeconfig(
                await self.secrets.open(history.sovereign, history.life, enrolled.kubeconfig.name)
            )  # fmt: skip
        except KeyError:
            raise Erased("the sealed kubeconfig was erased") from None
        except BadKubeconfig as error:
            raise NoAccess(str(error)) from None
        address = f"https://{applied.load_balancer_ipv4}:{self.api_port}"
        async with self.connect(access, address) as cluster:
            yield cluster

    async def erase(self, history: History) -> tuple[str, ...]:
        """Erase the sealed kubeconfig; what was erased."""
        enrolled = history.data(NodeEnrolled)
        if enrolled is None:
            return ()
        await self.secrets.erase(history.sovereign, history.life, enrolled.kubeconfig.name)
        return (ERASED,)


async def enrolled(_event: Event[NodeEnrolled]) -> Iterable[Fact]:
    """A kubeconfig is there: whoever owns the Sovereign begins to watch when the outputs are known too."""
    return ()


async def applied(_event: Event[TofuApplied]) -> Iterable[Fact]:
    """The outputs are there: whoever owns the Sovereign begins to watch when the kubeconfig is known too."""
    return ()


async def ready(
    event: Event[SovereignReady], history: History, *, door: Door, patience: Patience | None = None
) -> Iterable[Fact]:
    """The Sovereign stands on its own: give up our access, prove it, erase what we hold."""
    before = history.data(FluxReleased)
    if given_up(history):
        # A later run: nothing of ours was left inside since the first hand-off.
        return [FluxReleased(verified=before.verified if before else True)]
    try:
        async with door.open(history) as cluster:
            removed = await revoke(cluster, patience)
    except Erased:
        # Erased only after the proof: a crash kept this fact from being said.
        return [FluxReleased(removed=(*REMOVED, ERASED), verified=True)]
    except NoAccess as none:
        raise Refused(f"cannot prove that our access to {event.subject} is gone: {none}") from None
    except NotYet as still:
        raise TryAgain(f"our access to {event.subject} is not revoked yet: {still}", after=_RETRY) from None
    return [FluxReleased(removed=(*removed, *await door.erase(history)), verified=True)]


async def cancelled(_event: Event[SovereignCancelRequested], history: History) -> Iterable[Fact]:
    """The run is to stop: the watch ends. What was handed in stays sealed, since a retry goes on from what exists."""
    return [FluxReleased(verified=given_up(history))]


async def decommissioned(
    _event: Event[SovereignDecommissionRequested], history: History, *, door: Door
) -> Iterable[Fact]:
    """Everything is to go: the watch ends and the kubeconfig is erased; the cluster itself is about to be destroyed."""
    removed = await door.erase(history)
    return [FluxReleased(removed=removed, verified=given_up(history))]


async def reconcile(
    event: Event[SovereignReconcileRequested], history: History, *, door: Door, now: Callable[[], str]
) -> Iterable[Fact]:
    """Kick Flux: one release and what it comes from, or the kit's source and everything that hangs on it."""
    name = event.data.release
    objects: list[tuple[Kind, str]] = [(KUSTOMIZATION, name), (HELM_RELEASE, name)] if name else []
    async with _commanded(door, history) as cluster:
        if not name:
            objects = [(GIT_REPOSITORY, "catalyst-kit"), (KUSTOMIZATION, "catalyst-kit")]
            page = await cluster.page(HELM_RELEASE, limit=500)
            names = [str(item["metadata"]["name"]) for item in page.items if _in_flux_system(item)]
            objects += [(kind, each) for each in names for kind in (KUSTOMIZATION, HELM_RELEASE)]
        at = now()
        for kind, each in objects:
            # A release that used up its retries is tried anew: whoever asks for it has mended something.
            reset = {RESET_AT: at} if kind is HELM_RELEASE else {}
            await _patch(cluster, kind, each, {"metadata": {"annotations": {REQUESTED_AT: at, **reset}}})
    return ()


async def suspend(event: Event[SovereignSuspendRequested], history: History, *, door: Door) -> Iterable[Fact]:
    """Suspend or resume one release."""
    async with _commanded(door, history) as cluster:
        await _patch(cluster, HELM_RELEASE, event.data.release, {"spec": {"suspend": event.data.suspend}})
    return ()


def _in_flux_system(item: object) -> bool:
    return isinstance(item, dict) and item.get("metadata", {}).get("namespace") == FLUX_SYSTEM


async def _patch(cluster: Cluster, kind: Kind, name: str, body: Mapping[str, object]) -> None:
    try:
        await cluster.patch(kind, name, FLUX_SYSTEM, body)
    except NotServed:
        return  # It went meanwhile: nothing is left to be kicked.


@asynccontextmanager
async def _commanded(door: Door, history: History) -> AsyncIterator[Cluster]:
    """The cluster for a command: without access there is nothing to do, out of reach means later."""
    try:
        async with door.open(history) as cluster:
            yield cluster
    except (NoAccess, Denied) as none:
        raise Refused(f"no access to the cluster of {history.sovereign}: {none}") from None
    except ApiTrouble as error:
        raise TryAgain(str(error), after=_RETRY) from None


__all__ = [
    "Door",
    "NoAccess",
    "applied",
    "cancelled",
    "decommissioned",
    "enrolled",
    "ready",
    "reconcile",
    "suspend",
]
