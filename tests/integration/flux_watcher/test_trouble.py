"""What goes wrong in a cluster is named, with the object that blocks and the row of the runbook; the watch goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.flux import (
    FluxChanged,
    FluxConverged,
    FluxDiverged,
    FluxStalled,
    HrDegraded,
    HrFailed,
    HrReady,
)
from sandbox.cluster.scenario import SCENARIOS, Fault, Scenario
from tests.integration.flux_watcher.conftest import Stage, eventually


@pytest.mark.parametrize(
    ("faults", "code", "blocking"),
    [
        ((Fault(what="no-storage-class", lasts_s=10_000),), "storageclass-missing", "HelmRelease/bp-"),
        ((Fault(what="install-fails", component="bp-gitea", times=10**6),), "release-failed", "HelmRelease/bp-gitea"),
        ((Fault(what="image-pull", component="bp-powerdns", times=10**6),), "image-pull-failed", "HelmRelease/bp-pow"),
        (
            (Fault(what="source-missing", component="bp-gitea", times=10**6),),
            "source-unreachable",
            "HelmRepository/bp-",
        ),
        (
            # Slow enough to be seen at work before they go.
            (
                Fault(what="flux-removed", component="bp-flux"),
                Fault(what="install-slow", component="bp-flux", lasts_s=200),
            ),
            "flux-removed",
            "Deployment/flux-system/",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].what,
)
async def test_a_standstill_names_the_first_blocking_object_and_the_playbook(
    stage: Stage, faults: tuple[Fault, ...], code: str, blocking: str
) -> None:
    await stage.boot(Scenario(name="test", shows="One thing goes wrong.", faults=faults))
    await stage.begin()
    async with stage.watcher(still_s=2, first_seen_s=4):
        stalled = await _stalled(stage, code)
    assert stalled.blocking.startswith(blocking)
    assert stalled.evidence
    assert stalled.trouble.next_step


async def test_a_release_that_gave_up_is_failed_and_what_needs_it_waits_for_it(stage: Stage) -> None:
    await stage.boot(SCENARIOS["stalled"])
    await stage.begin()
    async with stage.watcher():
        failed = await stage.until(HrFailed)
    assert (failed.release, failed.reason) == ("bp-crossplane", "RetriesExceeded")
    assert failed.attempts >= 1
    assert failed.trouble.code == "release-failed"


async def test_a_source_that_is_not_there_is_named_before_any_release_appears(stage: Stage) -> None:
    fault = Fault(what="kit-source-missing", times=10**6)
    await stage.boot(SCENARIOS["source-404"].model_copy(update={"faults": (fault,)}))
    await stage.begin()
    async with stage.watcher(first_seen_s=1):
        stalled = await _stalled(stage, "source-unreachable")
    assert stalled.blocking == "GitRepository/catalyst-kit"
    states = {f.state for f in await stage.facts(FluxChanged) if f.kind == "GitRepository"}
    assert "retrying" in states


async def test_ready_then_degraded_then_ready_says_three_facts_and_converged_diverges_in_between(stage: Stage) -> None:
    cluster = await stage.boot()
    await stage.begin()
    async with stage.watcher():
        await stage.until(FluxConverged)
        cluster.play(Fault(what="release-degrades", component="bp-nats-jetstream", after_s=0, lasts_s=60))
        await stage.until(HrDegraded)

        async def healed() -> Any:
            facts = [e.data for e in await stage.events()]
            story = [f.fact for f in facts if getattr(f, "release", "") == "bp-nats-jetstream"]
            return story if story[-1] == HrReady.fact else None

        story = await eventually(healed)
    assert story.count(HrReady.fact) == 2
    assert HrDegraded.fact in story


async def test_a_dead_node_diverges_the_set_although_every_release_stays_ready(stage: Stage) -> None:
    cluster = await stage.boot()
    await stage.begin()
    async with stage.watcher():
        await stage.until(FluxConverged)
        cluster.play(Fault(what="node-lost", after_s=0, lasts_s=60))
        diverged = await stage.until(FluxDiverged)
        assert diverged.trouble.code == "node-lost"
        assert any(name.startswith("Node/") for name in diverged.missing)
        again = await eventually(lambda: _converged_again(stage))
    assert again.replaces is not None
    assert await stage.facts(HrDegraded) == []


async def _converged_again(stage: Stage) -> Any:
    found = await stage.facts(FluxConverged)
    return found[-1] if len(found) == 2 else None


async def test_a_deleted_release_is_told_as_gone(stage: Stage) -> None:
    cluster = await stage.boot()
    await stage.begin()
    async with stage.watcher():
        await stage.until(FluxConverged)
        cluster.play(Fault(what="release-deleted", component="bp-sealed-secrets", after_s=0, lasts_s=60))

        async def deleted() -> Any:
            return [f for f in await stage.facts(HrDegraded) if f.reason in {"Deleted", "Terminating"}]

        found = await eventually(deleted)
    assert found[0].release == "bp-sealed-secrets"


async def test_a_silent_api_is_named_and_the_watch_goes_on_when_it_is_back(stage: Stage) -> None:
    cluster = await stage.boot()
    await stage.begin()
    async with stage.watcher(unreachable_s=0.5) as _:
        await stage.until(HrReady)
        cluster.play(Fault(what="api-down", after_s=0, lasts_s=60))
        stalled = await stage.until(FluxStalled)
        assert stalled.trouble.code == "cluster-unreachable"
        assert stalled.blocking == "Kubernetes API"
        await stage.until(FluxConverged)


@pytest.mark.parametrize("content", [b"users: [{exec: {}}]", b"a: &a [1]", b"x" * 70_000])
async def test_a_bad_kubeconfig_is_named_and_nothing_is_connected_to(stage: Stage, content: bytes) -> None:
    cluster = await stage.boot()
    await stage.request()
    await stage.apply()
    asked = cluster.calls.lists
    if len(content) > 20_000:
        content = content[:14_000]
    await stage.enrol(content)
    async with stage.watcher():
        stalled = await stage.until(FluxStalled)
    assert stalled.trouble.code == "hand-in-refused"
    assert cluster.calls.lists == asked


async def _stalled(stage: Stage, code: str) -> Any:
    async def named() -> Any:
        found = [fact for fact in await stage.facts(FluxStalled) if fact.trouble.code == code]
        return found[-1] if found else None

    try:
        return await eventually(named, 40)
    except TimeoutError:
        said = [(fact.trouble.code, fact.blocking, fact.evidence) for fact in await stage.facts(FluxStalled)]
        pytest.fail(f"no standstill of code {code}; said were {said}")


async def test_a_stop_ends_every_watch_within_seconds(stage: Stage) -> None:
    await stage.boot()
    await stage.begin()
    async with asyncio.timeout(30):
        async with stage.watcher():
            await stage.until(HrReady)
