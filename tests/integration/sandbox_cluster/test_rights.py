"""The light cluster refuses the watcher's account what a real API server refused it, with the same answers."""

from __future__ import annotations

from sandbox.cluster.light import API_PORT
from sandbox.real.kube import kube
from tests.integration.sandbox_cluster.conftest import Bench
from tests.watcher_rights import RELEASE, THING, outcome, recorded, refusals


async def test_rights_are_those_that_a_real_api_server_was_seen_to_hold(bench: Bench) -> None:
    cluster = await bench.boot()
    await bench.install_flux(cluster)
    await cluster.apply([THING])
    token = cluster.token_for("catalyst-zero", "watcher")
    async with kube(f"https://{bench.address}:{API_PORT}", token, cluster.kubeconfig_ca()) as watcher:
        assert await refusals(watcher) == recorded()
        assert await outcome(watcher, "PATCH", RELEASE, {"metadata": {"annotations": {"reconcile": "now"}}}) == "done"
        assert await outcome(watcher, "PATCH", RELEASE, {"spec": {"suspend": True}}) == "done"
