"""Every handler delivered twice: the same follows, and what was given up stays given up."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import yaml

from bus import Refused, TryAgain
from contracts.event import Fact
from contracts.flux import FluxReleased
from contracts.history import History
from contracts.node import NodeEnrolled
from contracts.request import SecretRef, SovereignRequest
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignHandedOver,
    SovereignReady,
    SovereignReconcileRequested,
    SovereignRequested,
    SovereignSuspendRequested,
)
from contracts.tofu import Node, TofuApplied
from flux_watcher import handlers
from flux_watcher.api import ApiTrouble, Denied, NotServed, Page, Unreachable
from flux_watcher.charge import charge_of
from flux_watcher.cluster import Cluster
from flux_watcher.handlers import Door
from flux_watcher.kubeconfig import Access
from flux_watcher.objects import Kind
from flux_watcher.release import Patience
from tests.deliver import ABOUT, deliver, history_of, said
from tests.requests import request_body
from tests.unit.flux_watcher.test_kubeconfig import config

QUICK = Patience(for_s=0.5, every_s=0.1)
REFERENCE = SecretRef(reader="flux-watcher", name="kubeconfig", kid="k", sha256="0" * 64)
ENROLLED = NodeEnrolled(server="cp1", kubeconfig=REFERENCE, body_sha256="0" * 64)
APPLIED = TofuApplied(
    add=1, change=0, destroy=0, load_balancer_id=1, load_balancer_ipv4="192.0.2.7", network_id=1, state_serial=1,
    nodes=(Node(name="cp1", cloud_id=1, role="control-plane", server_type="cpx22", location="fsn1"),),
)  # fmt: skip
REQUESTED = SovereignRequested(
    request_id=said(SovereignCancelRequested()).id,
    kind="new",
    shape=SovereignRequest.model_validate(request_body()).shape(),
    body_digest="0" * 64,
    admin_ref="demo.1.admin",
)
READY = SovereignReady(urls=())
RUN2 = ABOUT.model_copy(update={"run": 2})


@dataclass
class Sealed:
    """A vault with one secret."""

    content: bytes | None

    async def open(self, sovereign: str, life: int, name: str) -> bytes:
        if self.content is None:
            raise KeyError(name)
        return self.content

    async def erase(self, sovereign: str, life: int, name: str) -> None:
        self.content = None


@dataclass
class FakeCluster:
    """A cluster that forgets us some calls after it was told to."""

    forgets_after: int = 0
    lost_answer: bool = False
    down: ApiTrouble | None = None
    missing: tuple[str, ...] = ()
    deleted: list[str] = field(default_factory=list)
    patched: dict[str, Any] = field(default_factory=dict)
    calls: int = 0

    async def delete_namespace(self, name: str) -> None:
        if self.down:
            raise self.down
        if self.deleted and self.calls > self.forgets_after:
            raise Denied("401")
        self.deleted.append(name)
        if self.lost_answer:
            raise Unreachable("the connection broke before the answer came")

    async def namespace_uid(self, name: str) -> str:
        if self.down:
            raise self.down
        self.calls += 1
        if self.deleted and self.calls > self.forgets_after:
            raise Denied("401")
        return "uid"

    async def page(self, kind: Kind, *, limit: int, more: str = "") -> Page:
        return Page(tuple({"metadata": {"name": n, "namespace": "flux-system"}} for n in ("bp-a", "bp-b")), "1")

    async def patch(self, kind: Kind, name: str, namespace: str, body: dict[str, Any]) -> None:
        if self.down:
            raise self.down
        if name in self.missing:
            raise NotServed("404")
        self.patched[f"{kind.name}/{name}"] = body


@dataclass
class World:
    """A door to a fake cluster, and where it led."""

    cluster: FakeCluster
    sealed: Sealed
    opened: list[str] = field(default_factory=list)

    @property
    def door(self) -> Door:
        @asynccontextmanager
        async def connect(access: Access, server: str) -> AsyncIterator[Cluster]:
            self.opened.append(server)
            yield cast("Cluster", self.cluster)

        return Door(self.sealed, connect)


def kubeconfig() -> bytes:
    return yaml.safe_dump(config()).encode()


@pytest.fixture
def world() -> World:
    return World(FakeCluster(), Sealed(kubeconfig()))


def enrolled_history(*more: Fact) -> History:
    return history_of(REQUESTED, APPLIED, ENROLLED, *more)


async def test_both_beginnings_are_heard_and_nothing_else_follows() -> None:
    assert await handlers.enrolled(said(ENROLLED)) == ()
    assert await handlers.applied(said(APPLIED)) == ()


async def test_ready_gives_up_our_access_proves_it_and_erases_what_we_hold(world: World) -> None:
    facts = list(await handlers.ready(said(READY), enrolled_history(READY), door=world.door, patience=QUICK))
    [released] = cast("Sequence[FluxReleased]", facts)
    assert released.verified
    assert released.removed[-1] == "sealed kubeconfig"
    assert world.cluster.deleted == ["catalyst-zero"]
    assert world.sealed.content is None
    # The address is the outputs', whatever the kubeconfig says.
    assert world.opened == ["https://192.0.2.7:6443"]
    again = list(await handlers.ready(said(READY), enrolled_history(READY, released), door=world.door))
    assert again == [FluxReleased(verified=True)]


@pytest.mark.parametrize(
    "cluster",
    [FakeCluster(forgets_after=3), FakeCluster(lost_answer=True), FakeCluster(lost_answer=True, forgets_after=2)],
)
async def test_only_a_refused_call_is_proof_also_when_the_deletions_answer_was_lost(cluster: FakeCluster) -> None:
    world = World(cluster, Sealed(kubeconfig()))
    [released] = await handlers.ready(said(READY), enrolled_history(READY), door=world.door, patience=QUICK)
    assert cast("FluxReleased", released).verified


@pytest.mark.parametrize("cluster", [FakeCluster(forgets_after=10**6), FakeCluster(down=Unreachable("no route"))])
async def test_without_the_proof_nothing_is_said_and_the_kubeconfig_is_kept_to_try_again(cluster: FakeCluster) -> None:
    world = World(cluster, Sealed(kubeconfig()))
    with pytest.raises(TryAgain):
        await handlers.ready(said(READY), enrolled_history(READY), door=world.door, patience=QUICK)
    assert world.sealed.content is not None


async def test_a_crash_between_the_deletion_and_the_erasure_ends_the_same(world: World) -> None:
    world.cluster.deleted.append("catalyst-zero")
    world.cluster.calls = 1
    [released] = await handlers.ready(said(READY), enrolled_history(READY), door=world.door, patience=QUICK)
    assert cast("FluxReleased", released).verified
    assert world.sealed.content is None


async def test_a_crash_between_the_erasure_and_the_fact_ends_the_same(world: World) -> None:
    first = list(await handlers.ready(said(READY), enrolled_history(READY), door=world.door, patience=QUICK))
    second = list(await handlers.ready(said(READY), enrolled_history(READY), door=world.door, patience=QUICK))
    assert first == second


async def test_cancel_ends_the_watch_and_keeps_what_a_retry_needs(world: World) -> None:
    cancel = SovereignCancelRequested()
    facts = await deliver(handlers.cancelled, said(cancel), enrolled_history(cancel))
    assert facts == [FluxReleased(verified=False)]
    assert world.sealed.content is not None
    assert await deliver(handlers.cancelled, said(cancel), history_of(REQUESTED, cancel)) == facts


async def test_decommission_ends_the_watch_also_when_there_was_never_any(world: World) -> None:
    gone = SovereignDecommissionRequested()
    facts = await deliver(handlers.decommissioned, said(gone), enrolled_history(gone), door=world.door)
    assert facts == [FluxReleased(removed=("sealed kubeconfig",), verified=False)]
    assert world.sealed.content is None
    assert await deliver(handlers.decommissioned, said(gone), history_of(REQUESTED, gone), door=world.door) == [
        FluxReleased(verified=False)
    ]


async def test_reconcile_kicks_one_release_or_everything_from_the_source_on(world: World) -> None:
    one = SovereignReconcileRequested(release="bp-a")
    await deliver(handlers.reconcile, said(one), enrolled_history(), door=world.door, now=lambda: "T")
    assert set(world.cluster.patched) == {"Kustomization/bp-a", "HelmRelease/bp-a"}
    everything = SovereignReconcileRequested()
    await deliver(handlers.reconcile, said(everything), enrolled_history(), door=world.door, now=lambda: "T")
    assert {"GitRepository/catalyst-kit", "Kustomization/catalyst-kit", "HelmRelease/bp-b"} <= set(
        world.cluster.patched
    )
    asked = {"reconcile.fluxcd.io/requestedAt": "T"}
    for title, given in world.cluster.patched.items():
        # A release that has used up its retries begins anew.
        more = {"reconcile.fluxcd.io/resetAt": "T"} if title.startswith("HelmRelease/") else {}
        assert given == {"metadata": {"annotations": asked | more}}


async def test_suspend_changes_spec_suspend_and_nothing_else(world: World) -> None:
    event = said(SovereignSuspendRequested(release="bp-a", suspend=True))
    await deliver(handlers.suspend, event, enrolled_history(), door=world.door)
    assert world.cluster.patched == {"HelmRelease/bp-a": {"spec": {"suspend": True}}}


async def test_a_command_without_access_is_refused_and_one_out_of_reach_is_tried_again(world: World) -> None:
    event = said(SovereignSuspendRequested(release="bp-a", suspend=True))
    with pytest.raises(Refused):
        await handlers.suspend(event, enrolled_history(SovereignHandedOver()), door=world.door)
    world.cluster.down = Unreachable("no route")
    with pytest.raises(TryAgain):
        await handlers.suspend(event, enrolled_history(), door=world.door)
    world.sealed.content = b"users: exec"
    with pytest.raises(Refused):
        await handlers.suspend(event, enrolled_history(), door=world.door)


CANCEL = SovereignCancelRequested()
RELEASED = FluxReleased(verified=True)


@pytest.mark.parametrize(
    ("history", "mode", "run"),
    [
        (history_of(REQUESTED), None, 0),
        (history_of(REQUESTED, APPLIED), None, 0),
        (history_of(REQUESTED, ENROLLED), None, 0),
        (history_of(REQUESTED, ENROLLED, APPLIED), "cluster", 1),
        (history_of(REQUESTED, APPLIED, ENROLLED), "cluster", 1),
        (history_of(REQUESTED, APPLIED, ENROLLED, CANCEL), None, 0),
        (history_of(REQUESTED, APPLIED, ENROLLED, CANCEL, said(REQUESTED, RUN2)), None, 0),
        (history_of(REQUESTED, APPLIED, ENROLLED, CANCEL, said(REQUESTED, RUN2), said(APPLIED, RUN2)), "cluster", 2),
        (history_of(REQUESTED, APPLIED, ENROLLED, said(REQUESTED, RUN2)), "cluster", 1),
        (history_of(REQUESTED, APPLIED, ENROLLED, SovereignDecommissionRequested()), None, 0),
        (history_of(REQUESTED, APPLIED, ENROLLED, READY), "cluster", 1),
        (history_of(REQUESTED, APPLIED, ENROLLED, READY, RELEASED), None, 0),
        (history_of(REQUESTED, APPLIED, ENROLLED, RELEASED, SovereignHandedOver(), said(REQUESTED, RUN2)), None, 0),
        (
            history_of(REQUESTED, APPLIED, ENROLLED, RELEASED, said(REQUESTED, RUN2), said(APPLIED, RUN2)),
            "probe",
            2,
        ),
        (history_of(REQUESTED, APPLIED, ENROLLED, SovereignDecommissioned(cause=said(CANCEL).id)), None, 0),
    ],
)  # fmt: skip
def test_what_is_to_be_done_follows_from_what_was_said(history: History, mode: str | None, run: int) -> None:
    charge = charge_of(history)
    assert (charge.mode, charge.about.run) == (mode, run) if charge else mode is None


def test_every_fact_of_a_life_derives_from_the_same_enrolment_whatever_the_run() -> None:
    enrolment = said(ENROLLED)
    first = charge_of(history_of(REQUESTED, enrolment, APPLIED))
    second = charge_of(history_of(REQUESTED, enrolment, APPLIED, said(REQUESTED, RUN2), said(APPLIED, RUN2)))
    assert first is not None
    assert second is not None
    assert first.cause == second.cause == enrolment.id
    assert first.address == "192.0.2.7"
