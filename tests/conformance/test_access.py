"""What the watcher's account may do on a real API server, what it may not, and that nothing works after hand-off."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from flux_watcher.cluster import open_cluster
from flux_watcher.kubeconfig import read_kubeconfig
from flux_watcher.objects import KINDS
from flux_watcher.release import Patience, revoke
from sandbox.real.kube import Kube, kube
from tests.conformance.conftest import Ground
from tests.watcher_rights import RELEASE, THING, outcome, recorded, refusals


@pytest.mark.timeout(240)
async def test_the_watchers_account_may_watch_annotate_suspend_and_leave_and_nothing_else(ground: Ground) -> None:
    await ground.boot()
    cluster = ground.cluster
    await cluster.apply([THING])
    async with kube(ground.server, ground.token, cluster.kubeconfig_ca()) as watcher:
        await _policy_in_force(watcher)
        allowed = {
            name: await outcome(watcher, "GET", kind.path(kind.versions[0]), None)
            for name, kind in KINDS.items()
            if name not in {"Challenge", "Certificate"}
        }
        assert set(allowed.values()) == {"done"}, allowed
        assert await outcome(watcher, "PATCH", RELEASE, {"metadata": {"annotations": {"reconcile": "now"}}}) == "done"
        assert await outcome(watcher, "PATCH", RELEASE, {"spec": {"suspend": True}}) == "done"
        assert await outcome(watcher, "PATCH", RELEASE, {"spec": {"suspend": None}}) == "done"
        before = await cluster.api.get(THING["apiVersion"], THING["kind"], "thing", "flux-system")
        found = await refusals(watcher)
        assert all(answer.startswith(("403", "422")) for answer in found.values()), found
        assert found == recorded()
        assert await cluster.api.get(THING["apiVersion"], THING["kind"], "thing", "flux-system") == before
    async with open_cluster(read_kubeconfig(ground.kubeconfig()), ground.server) as own:
        removed = await revoke(own, Patience(for_s=30))
        assert "Namespace/catalyst-zero" in removed
    async with kube(ground.server, ground.token, cluster.kubeconfig_ca()) as watcher:
        assert await outcome(watcher, "GET", "/api/v1/nodes", None) == "401 Unauthorized"


async def _policy_in_force(watcher: Kube) -> None:
    """An admission policy counts from the moment that the API server has read it, a little after it was made."""
    async with asyncio.timeout(60):
        for number in itertools.count():
            changed = {"metadata": {"labels": {"try": str(number)}}}
            if await outcome(watcher, "PATCH", RELEASE, changed) != "done":
                return
            await asyncio.sleep(0.2)
