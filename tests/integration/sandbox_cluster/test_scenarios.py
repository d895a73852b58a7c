"""What goes wrong, and that the statuses say it as real controllers do."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.cluster import SCENARIOS, Fault, LightCluster, Scenario
from sandbox.cluster.objects import HELM_RELEASE, KUSTOMIZATION, STORAGE_CLASS
from sandbox.cluster.scenario import FOREVER
from tests.integration.sandbox_cluster.conftest import Bench, conditions, eventually

Reasons = dict[str, tuple[str, str]]


class Recorder:
    """Every distinct set of conditions that an object went through."""

    def __init__(self, cluster: LightCluster, kind: str, name: str) -> None:
        self.seen: list[Reasons] = []
        self._wanted = (kind, name)
        cluster.store.listen(self._hear)

    def _hear(self, change: Any) -> None:
        if (change.kind.kind, change.item["metadata"]["name"]) == self._wanted:
            found = conditions(change.item)
            if not self.seen or self.seen[-1] != found:
                self.seen.append(found)

    def of(self, condition: str) -> list[tuple[str, str]]:
        states: list[tuple[str, str]] = []
        for found in self.seen:
            if condition in found and (not states or states[-1] != found[condition]):
                states.append(found[condition])
        return states


async def play(bench: Bench, *faults: Fault) -> LightCluster:
    cluster = await bench.boot(scenario=Scenario(name="test", shows="-", faults=faults))
    await bench.install_flux(cluster)
    return cluster


def release(cluster: LightCluster, name: str) -> dict[str, Any] | None:
    found = cluster.get("HelmRelease", "flux-system", name)
    return found[0] if found else None


def ready(cluster: LightCluster, name: str) -> str:
    return conditions(release(cluster, name) or {}).get("Ready", ("", ""))[0]


async def test_a_release_goes_the_normal_way(bench: Bench) -> None:
    cluster = await play(bench)
    recorder = Recorder(cluster, "HelmRelease", "bp-keycloak")
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ready(cluster, "bp-keycloak") == "True")
    assert recorder.seen[1] == {"Reconciling": ("True", "Progressing")}
    assert recorder.of("Ready") == [
        ("False", "SourceNotReady"),
        ("Unknown", "Progressing"),
        ("True", "InstallSucceeded"),
    ]
    item = release(cluster, "bp-keycloak")
    assert item is not None
    status = item["status"]
    assert status["observedGeneration"] == item["metadata"]["generation"]
    assert status["history"][0]["chartVersion"] == "7.1.11"
    assert status["history"][0]["status"] == "deployed"
    assert "Reconciling" not in conditions(item)


async def test_what_cloud_init_installed_is_adopted_not_installed_again(bench: Bench) -> None:
    cluster = await play(bench)
    before = {each["metadata"]["uid"] for each in cluster.get("Deployment", "flux-system", None)}
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ready(cluster, "bp-flux") == "True")
    assert conditions(release(cluster, "bp-flux") or {})["Ready"] == ("True", "UpgradeSucceeded")
    assert {each["metadata"]["uid"] for each in cluster.get("Deployment", "flux-system", None)} == before


async def test_dependants_wait_and_say_for_whom(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="install-slow", component="bp-spire", lasts_s=20))
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: bool(release(cluster, "bp-spire")))
    waiting = cluster.get("Kustomization", "flux-system", "bp-nats-jetstream")[0]
    assert conditions(waiting)["Ready"] == ("False", "DependencyNotReady")
    messages = {found["type"]: found["message"] for found in waiting["status"]["conditions"]}
    assert messages["Ready"] == "dependency 'flux-system/bp-spire' is not ready"
    assert release(cluster, "bp-nats-jetstream") is None


async def test_exhausted_retries_stall_the_release_and_fail_its_kustomization(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="install-fails", component="bp-crossplane", times=FOREVER))
    recorder = Recorder(cluster, "HelmRelease", "bp-crossplane")
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: "Stalled" in conditions(release(cluster, "bp-crossplane") or {}))
    assert recorder.of("Stalled") == [("True", "RetriesExceeded")]
    assert ("True", "UninstallSucceeded") in recorder.of("Remediated")
    assert ("True", "ProgressingWithRetry") in recorder.of("Reconciling")
    last = recorder.seen[-1]
    assert last["Ready"] == ("False", "InstallFailed")
    assert "Reconciling" not in last
    stalled = release(cluster, "bp-crossplane")
    assert stalled is not None
    assert stalled["status"]["installFailures"] == 4
    assert stalled["status"]["observedGeneration"] == stalled["metadata"]["generation"]

    def named() -> bool:
        above = cluster.get("Kustomization", "flux-system", "bp-crossplane")[0]
        return conditions(above)["Ready"] == ("False", "HealthCheckFailed")

    await eventually(named)


async def test_a_release_with_data_is_tried_again_in_place_until_it_succeeds(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="install-fails", component="bp-openbao", times=2))
    recorder = Recorder(cluster, "HelmRelease", "bp-openbao")
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ready(cluster, "bp-openbao") == "True")
    assert recorder.of("Stalled") == []
    assert recorder.of("Remediated") == []
    assert cluster.faults.happened == {"install-fails bp-openbao": 2}
    assert ("False", "InstallFailed") in recorder.of("Ready")


async def test_without_a_storage_class_claims_pend_and_heal_when_one_comes(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="no-storage-class", lasts_s=FOREVER))
    await bench.hand_kit_to_flux(cluster)

    def pending() -> bool:
        claims = cluster.get("PersistentVolumeClaim", "keycloak", None)
        return bool(claims) and claims[0]["status"]["phase"] == "Pending"

    await eventually(pending)
    await eventually(
        lambda: conditions(release(cluster, "bp-spire") or {}).get("Ready", ("", ""))[1] == "InstallFailed"
    )
    failed = next(
        found["message"]
        for found in (release(cluster, "bp-spire") or {})["status"]["conditions"]
        if found["type"] == "Ready"
    )
    assert "timeout waiting for: [PersistentVolumeClaim/spire-system/data-spire-server-0 status: 'InProgress'" in failed
    events = {event["reason"] for event in cluster.get("Event", "spire-system", None)}
    assert events >= {"FailedBinding", "FailedScheduling"}
    assert not cluster.store.select(STORAGE_CLASS)
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    await cluster.apply(
        [
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "local-path", "annotations": default},
                "provisioner": "rancher.io/local-path",
            }
        ]
    )
    await eventually(lambda: ready(cluster, "bp-catalyst-platform") == "True")


@pytest.mark.parametrize(
    ("what", "words"), [("kit-source-missing", "not found"), ("kit-source-unauthorized", "authentication required")]
)
async def test_a_kit_that_cannot_be_fetched_says_why_and_recovers(bench: Bench, what: Any, words: str) -> None:
    cluster = await play(bench, Fault(what=what, times=2))
    recorder = Recorder(cluster, "GitRepository", "catalyst-kit")
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ("True", "GitOperationFailed") in recorder.of("FetchFailed"))
    source = cluster.get("GitRepository", "flux-system", "catalyst-kit")[0]
    assert any(words in found["message"] for found in source["status"]["conditions"])
    await eventually(lambda: ready(cluster, "bp-cilium") == "True")
    assert recorder.of("Ready")[-1] == ("True", "Succeeded")


async def test_a_chart_repository_that_is_missing_blocks_only_its_release(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="source-missing", component="bp-gitea", times=FOREVER))
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: conditions(release(cluster, "bp-gitea") or {}).get("Ready") == ("False", "SourceNotReady"))
    chart = cluster.get("HelmChart", "flux-system", "flux-system-bp-gitea")
    await eventually(lambda: bool(cluster.get("HelmChart", "flux-system", "flux-system-bp-gitea")))
    assert chart
    await eventually(lambda: ready(cluster, "bp-powerdns") == "True")
    assert release(cluster, "bp-catalyst-platform") is None


async def test_a_release_degrades_after_it_was_ready_and_recovers(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="release-degrades", component="bp-spire", after_s=2, lasts_s=4))
    recorder = Recorder(cluster, "HelmRelease", "bp-spire")
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: recorder.of("Ready").count(("True", "UpgradeSucceeded")) == 1)
    assert recorder.of("Ready")[-3:] == [
        ("True", "InstallSucceeded"),
        ("False", "UpgradeFailed"),
        ("True", "UpgradeSucceeded"),
    ]
    item = release(cluster, "bp-spire")
    assert item is not None
    assert [entry["status"] for entry in item["status"]["history"]] == ["deployed", "superseded"]


async def test_crashing_workloads_and_a_lost_node_leave_the_release_ready(bench: Bench) -> None:
    cluster = await play(bench)
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ready(cluster, "bp-catalyst-platform") == "True")
    cluster.play(Fault(what="workload-degrades", component="bp-gitea", after_s=0, lasts_s=FOREVER))

    def gitea_down() -> bool:
        found = cluster.get("Deployment", "gitea", "gitea")[0]
        return conditions(found)["Available"][0] == "False"

    await eventually(gitea_down)
    assert ready(cluster, "bp-gitea") == "True"
    cluster.play(Fault(what="node-lost", after_s=0, lasts_s=10))
    await eventually(lambda: any(conditions(node)["Ready"][0] == "Unknown" for node in cluster.get("Node", None, None)))
    assert all(
        ready(cluster, item["metadata"]["name"]) == "True" for item in cluster.get("HelmRelease", "flux-system", None)
    )
    await eventually(lambda: all(conditions(node)["Ready"][0] == "True" for node in cluster.get("Node", None, None)))


async def test_a_deleted_release_is_gone_and_put_back_by_its_kustomization(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="release-deleted", component="bp-sealed-secrets", after_s=1, lasts_s=10))
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ready(cluster, "bp-sealed-secrets") == "True")
    await eventually(lambda: release(cluster, "bp-sealed-secrets") is None)
    await eventually(lambda: ready(cluster, "bp-sealed-secrets") == "True")


async def test_flux_removed_by_its_own_rollback_moves_nothing_any_more(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="flux-removed", component="bp-flux"))
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: not cluster.get("Deployment", "flux-system", "helm-controller"))
    await eventually(lambda: cluster.model.agenda.next_due is None or not cluster.model.running("helm-controller"))
    assert ready(cluster, "bp-flux") != "True"
    assert not cluster.get("Pod", "flux-system", None)


async def test_images_that_cannot_be_pulled_are_named_in_the_pods(bench: Bench) -> None:
    cluster = await play(bench, Fault(what="image-pull", component="bp-powerdns", times=3))
    reasons: set[str] = set()

    def look(change: Any) -> None:
        if change.kind.kind == "Pod" and change.item["metadata"]["namespace"] == "powerdns":
            for container in change.item["status"].get("containerStatuses", ()):
                reasons.add(container["state"].get("waiting", {}).get("reason", ""))

    cluster.store.listen(look)
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ready(cluster, "bp-powerdns") == "True")
    assert reasons == {"", "ErrImagePull", "ImagePullBackOff"}


async def test_suspended_objects_stay_as_they_are(bench: Bench) -> None:
    cluster = await play(bench)
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ready(cluster, "bp-catalyst-platform") == "True")
    item = cluster.store.require(HELM_RELEASE, "flux-system", "bp-gitea")
    held = cluster.store.replace(HELM_RELEASE, {**item, "spec": {**item["spec"], "suspend": True}})
    changed = cluster.store.replace(HELM_RELEASE, {**held, "spec": {**held["spec"], "values": {"a": 1}}})
    version = changed["metadata"]["resourceVersion"]
    done: list[str] = []
    cluster.store.listen(lambda change: done.append(change.item["metadata"]["name"]))
    other = cluster.store.require(KUSTOMIZATION, "flux-system", "bp-gitea")
    annotated = {**other["metadata"], "annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}
    cluster.store.replace(KUSTOMIZATION, {**other, "metadata": annotated})
    await eventually(lambda: done.count("bp-gitea") > 1)
    now = cluster.store.require(HELM_RELEASE, "flux-system", "bp-gitea")
    assert now["status"] == item["status"]
    assert int(now["metadata"]["resourceVersion"]) >= int(version)


async def test_the_front_door_follows_the_kit_s_routes_with_a_certificate_of_the_sandbox(
    bench: Bench, tmp_path: Path
) -> None:
    cluster = await play(bench)
    trust = ssl.create_default_context(cafile=str(tmp_path / "sandbox" / "root-ca.pem"))

    async def get(host: str, path: str = "/") -> tuple[int, str]:
        url = f"https://{bench.address}:31443{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers={"Host": host}, ssl=trust, server_hostname=host) as answer,
        ):
            return answer.status, await answer.text()

    assert (await get("console.acme.omani.works"))[0] == 404
    await bench.hand_kit_to_flux(cluster)
    await eventually(lambda: ready(cluster, "bp-catalyst-platform") == "True")

    async def open_everywhere() -> bool:
        pages = [await get(f"{name}.acme.omani.works") for name in ("console", "gitea", "admin")]
        pages.append(await get("admin.acme.omani.works", "/realms/catalyst-admin"))
        return all(status == 200 and "simulated" in text for status, text in pages)

    await eventually(open_everywhere)
    assert (await get("shop.acme.omani.works"))[0] == 404
    assert (await get("admin.acme.omani.works", "/realms/other"))[0] == 404
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"http://{bench.address}:31080/x", headers={"Host": "console.acme.omani.works"}, allow_redirects=False
        ) as answer,
    ):
        assert answer.headers["Location"] == "https://console.acme.omani.works/x"


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_named_scenario_speaks_of_components_of_the_kit(bench: Bench, name: str) -> None:
    known = set(bench.clusters.components)
    assert {fault.component for fault in SCENARIOS[name].faults} <= known | {""}
