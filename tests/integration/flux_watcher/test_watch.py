from __future__ import annotations

import json
from typing import Any

import pytest

from bus import Answer, Bus
from contracts.catalogue import CLUSTER_EVENTS, DESCRIBE
from contracts.flux import (
    FluxBootstrapped,
    FluxChanged,
    FluxConverged,
    FluxDiverged,
    FluxReleased,
    FluxStalled,
    HrDegraded,
    HrInstalling,
    HrPending,
    HrReady,
    ProbeFailed,
    ProbePassed,
)
from contracts.questions import Asker, Describe, OfSovereign
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignReady,
    SovereignReconcileRequested,
    SovereignSuspendRequested,
    Url,
)
from flux_watcher.expected import expected_of, load_kit
from tests.integration.flux_watcher.conftest import SOVEREIGN, Stage, eventually
from tests.integration.sandbox_cluster.conftest import KIT

SEALED = (
    "-----BEGIN AGE ENCRYPTED FILE-----\n"
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNzaC1lZDI1NTE5IFRJY1lDUSBPVXV5\n"
    "T2ZxaHAzaGd4aWJ3RmlDTExBbWJpTzFvc1VCK2FveFBzSFMrQ0c0CnBCZHhrdGYz\n"
    "dmowSVZCWElkVnQ5aEZWbFZRRG5jSHRCNVI3VHVPR2xiYm8KLS0tIEF0bzRoWGdv\n"
    "Z3VsS2JJcklVV0RqMzdoUjJPeS91c0grVGs1QkF3b1FLMXcKtKcBp3oDYgF9aGnD\n"
    "iLloqjp0D9HJkRPrIzyxPZmh7jfqU6WiD1niWXE75ffHrRqupxuWpmQjjoaBC5FA\n"
    "SmzRhg==\n"
    "-----END AGE ENCRYPTED FILE-----\n"
)
"""As age writes it: a password that nobody needs, for a key that is gone."""
NAMES = expected_of(load_kit(KIT / "catalogue.yaml")).names


async def test_an_install_is_told_from_the_first_source_to_converged_and_probed(stage: Stage) -> None:
    cluster = await stage.boot()
    (namespace,) = cluster.get("Namespace", None, "catalyst-zero")
    annotated = {**namespace["metadata"], "annotations": {"catalyst.openova.io/first-login": SEALED}}
    await cluster.apply([{**namespace, "metadata": annotated}])
    await stage.begin()
    async with stage.watcher():
        converged = await stage.until(FluxConverged)
        passed = await stage.until(ProbePassed)
    assert converged.first_login == SEALED, "the page shows what the node sealed, as it is"
    assert [name for name, _ in converged.releases] == list(NAMES)
    assert converged.stable_s >= 0.3
    assert {host.reason for host in passed.hosts} == {""}
    assert {host.host.split(".")[0] for host in passed.hosts} == {"console", "gitea", "admin"}
    assert {fact.release for fact in await stage.facts(HrReady)} == set(NAMES)
    assert (await stage.facts(FluxBootstrapped))[0].expected == NAMES
    assert {fact.release for fact in await stage.facts(HrInstalling)} | {
        fact.release for fact in await stage.facts(HrPending)
    } <= set(NAMES)
    changed = {(fact.kind, fact.name) for fact in await stage.facts(FluxChanged)}
    assert ("GitRepository", "catalyst-kit") in changed
    assert ("Kustomization", "catalyst-kit") in changed
    ids = [event.id for event in await stage.events()]
    assert len(ids) == len(set(ids))


async def test_the_two_facts_that_begin_a_watch_may_come_in_either_order(stage: Stage) -> None:
    await stage.boot()
    async with stage.watcher():
        await stage.request()
        await stage.enrol()
        await stage.apply()
        await stage.until(FluxConverged)


async def test_a_takeover_goes_on_without_saying_anything_again(stage: Stage) -> None:
    await stage.boot()
    await stage.begin()
    async with stage.watcher("one"):
        await stage.until(HrReady)
    async with stage.watcher("two"):
        await stage.until(ProbePassed)
        await stage.until(FluxConverged)
    before = [event.id for event in await stage.events()]
    assert len(before) == len(set(before))
    assert stage.cluster is not None
    calls = stage.cluster.calls
    lists, watches = calls.lists + 12, calls.watches + 6
    async with stage.watcher("three"):
        await eventually(lambda: _reached(stage, lists, watches))
    assert [event.id for event in await stage.events()] == before


async def _reached(stage: Stage, lists: int, watches: int) -> bool:
    assert stage.cluster is not None
    return stage.cluster.calls.lists >= lists and stage.cluster.calls.watches >= watches


async def test_two_replicas_share_and_the_one_that_stays_takes_over(stage: Stage) -> None:
    await stage.boot()
    async with stage.watcher("one") as one:
        async with stage.watcher("two"):
            await eventually(lambda: _count(one, 2))
            await stage.begin()
            await stage.until(HrReady)
        await eventually(lambda: _count(one, 1))
        await stage.until(FluxConverged)
    ids = [event.id for event in await stage.events()]
    assert len(ids) == len(set(ids))


async def _count(bus: Bus, replicas: int) -> bool:
    return len(await bus.presence.replicas()) == replicas


async def test_after_ready_nothing_of_ours_works_in_the_cluster_any_more(stage: Stage) -> None:
    cluster = await stage.boot()
    await stage.begin()
    async with stage.watcher() as bus:
        await stage.until(ProbePassed)
        await stage.until(FluxConverged)
        await stage.say(SovereignReady(urls=(Url(name="console", url="https://console"),)), by="intake")
        released = await stage.until(FluxReleased)
        assert released.verified
        assert "Namespace/catalyst-zero" in released.removed
        assert "sealed kubeconfig" in released.removed
        with pytest.raises(KeyError):
            await bus.vault.open(SOVEREIGN, 1, "kubeconfig")
    assert cluster.get("Namespace", None, "catalyst-zero") == []


async def test_a_later_run_after_hand_off_is_only_probed_and_released_again(stage: Stage) -> None:
    await stage.boot()
    await stage.begin()
    async with stage.watcher():
        await stage.until(FluxConverged)
        await stage.until(ProbePassed)
        ready = SovereignReady(urls=(Url(name="console", url="https://console"),))
        await stage.say(ready, by="intake")
        await stage.until(FluxReleased)
        await stage.request(run=2)
        await stage.apply(run=2)
        await stage.until(ProbePassed, run=2)
        assert await stage.facts(FluxConverged, run=2) == []
        await stage.say(ready, by="intake", run=2)
        assert (await stage.until(FluxReleased, run=2)).verified


async def test_a_cancelled_run_is_watched_no_longer_and_its_retry_is(stage: Stage) -> None:
    await stage.boot()
    await stage.begin()
    async with stage.watcher() as bus:
        await stage.until(HrReady)
        await stage.say(SovereignCancelRequested(), by="intake")
        assert not (await stage.until(FluxReleased)).verified
        assert (await bus.vault.open(SOVEREIGN, 1, "kubeconfig")).startswith(b"apiVersion")
        await stage.request(run=2)
        await stage.apply(run=2)
        await stage.until(FluxConverged, run=2)
        await stage.until(ProbePassed, run=2)


async def test_a_name_that_leads_elsewhere_fails_the_probe_until_it_does_not(stage: Stage) -> None:
    await stage.boot()
    stage.names.address = "127.99.99.99"
    await stage.begin()
    async with stage.watcher():
        failed = await stage.until(ProbeFailed)
        assert failed.trouble.code == "dns-not-visible"
        assert all("instead of the load balancer" in host.reason for host in failed.hosts)
        stage.names.address = stage.bench.address
        passed = await stage.until(ProbePassed)
    assert passed.replaces is not None


async def test_the_controllers_logs_follow_to_the_stream_of_chatter(stage: Stage) -> None:
    await stage.boot()
    gateway = await stage.bus_of("gateway")
    heard: dict[str, list[str]] = {}

    async def take(message: Any) -> None:
        heard.setdefault(message.subject, []).extend(json.loads(message.data)["lines"])

    await gateway.connection.client.subscribe(f"log.{SOVEREIGN}.>", cb=take)
    await stage.begin()
    async with stage.watcher():
        await stage.until(FluxConverged)

        async def some() -> bool:
            return any("helm-controller" in subject and lines for subject, lines in heard.items())

        await eventually(some)
    assert all(len(lines) == len(set(lines)) for lines in heard.values())


async def test_another_cluster_at_the_address_is_refused_by_name(stage: Stage) -> None:
    cluster = await stage.boot()
    await stage.begin()
    async with stage.watcher("one"):
        assert (await stage.until(FluxBootstrapped)).cluster_uid
    kube_system = cluster.get("Namespace", None, "kube-system")[0]
    kube_system["metadata"]["uid"] = "another"
    before = len(await stage.events())
    async with stage.watcher("two"):
        stalled = await stage.until(FluxStalled)
    assert stalled.trouble.code == "hand-in-refused"
    assert len(await stage.events()) == before + 1


async def test_an_operator_sees_one_object_in_detail_and_another_owner_does_not(stage: Stage) -> None:
    await stage.boot()
    await stage.begin()
    gateway = await stage.bus_of("gateway")
    asked = Describe(sovereign=SOVEREIGN, kind="helmrelease", name="bp-cilium")
    async with stage.watcher():
        await stage.until(HrReady)
        olga = Asker(actor="olga", owner="omantel", roles=("viewer",))
        found = await gateway.ask(DESCRIBE, asked, asker=olga)
        assert found.kind == "HelmRelease"
        assert {row["type"]: row["status"] for row in found.conditions}["Ready"] == "True"
        assert found.log
        last = (await gateway.ask(CLUSTER_EVENTS, OfSovereign(sovereign=SOVEREIGN), asker=olga)).events
        assert 0 < len(last) <= 100
        assert any("HelmRelease/bp-cilium" in line for line in last)
        assert [line[:19] for line in last] == sorted(line[:19] for line in last)
        with pytest.raises(Answer) as refused:
            await gateway.ask(DESCRIBE, asked, asker=Asker(actor="rita", owner="rival", roles=("operator",)))
        assert refused.value.trouble.code == "unknown-sovereign"
        nothing = asked.model_copy(update={"name": "ghost"})
        with pytest.raises(Answer):
            await gateway.ask(DESCRIBE, nothing, asker=Asker(actor="olga", owner="omantel"))


async def test_suspend_and_reconcile_reach_the_cluster_and_are_seen_again(stage: Stage) -> None:
    cluster = await stage.boot()
    await stage.begin()
    async with stage.watcher():
        await stage.until(FluxConverged)
        await stage.say(SovereignSuspendRequested(release="bp-gitea", suspend=True), by="intake")
        degraded = await stage.until(HrDegraded)
        assert (degraded.release, degraded.reason) == ("bp-gitea", "Suspended")
        await stage.until(FluxDiverged)
        await stage.say(SovereignSuspendRequested(release="bp-gitea", suspend=False), by="intake")

        async def resumed() -> bool:
            return len(await stage.facts(FluxConverged)) == 2

        await eventually(resumed, 15)
        await stage.say(SovereignReconcileRequested(release="bp-spire"), by="intake")

        async def kicked() -> bool:
            item = cluster.get("HelmRelease", "flux-system", "bp-spire")[0]
            return "reconcile.fluxcd.io/requestedAt" in (item["metadata"].get("annotations") or {})

        await eventually(kicked)
