"""The API as a real client meets it: identity, pages, versions, watches and their ends."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from sandbox.cluster.light import API_PORT
from tests.integration.sandbox_cluster.conftest import Bench, Running, client, conditions, eventually, watch

FLUX = ("helm.toolkit.fluxcd.io", "v2", "helmreleases")
KUSTOMIZATIONS = ("kustomize.toolkit.fluxcd.io", "v1", "kustomizations")


async def ready_releases(api: object) -> int:
    found = await client.CustomObjectsApi(api).list_cluster_custom_object(*FLUX)
    return sum(conditions(item).get("Ready", ("", ""))[0] == "True" for item in found["items"])


async def settled(running: Running) -> Running:
    _, _, api = running

    async def all_ready() -> bool:
        return await ready_releases(api) == 13

    await eventually(all_ready)
    return running


async def test_flux_kinds_answer_404_until_flux_is_installed(bench: Bench, tmp_path: Path) -> None:
    cluster = await bench.boot()
    await cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "catalyst-zero"}}])
    account = {"name": "watcher", "namespace": "catalyst-zero"}
    await cluster.apply([{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}])
    api = bench.watcher(cluster, tmp_path)
    groups = await client.ApisApi(api).get_api_versions()
    assert "helm.toolkit.fluxcd.io" not in {group.name for group in groups.groups}
    with pytest.raises(client.ApiException) as refused:
        await client.CustomObjectsApi(api).list_cluster_custom_object(*FLUX)
    assert refused.value.status == 404
    await bench.install_flux(cluster)
    groups = await client.ApisApi(api).get_api_versions()
    assert "helm.toolkit.fluxcd.io" in {group.name for group in groups.groups}
    assert (await client.CustomObjectsApi(api).list_cluster_custom_object(*FLUX))["items"] == []


async def test_a_list_comes_in_consistent_pages_and_an_old_page_is_gone(running: Running) -> None:
    _, cluster, api = await settled(running)
    releases = client.CustomObjectsApi(api)
    first = await releases.list_cluster_custom_object(*FLUX, limit=5)
    assert first["metadata"]["remainingItemCount"] == 8
    second = await releases.list_cluster_custom_object(*FLUX, limit=500, _continue=first["metadata"]["continue"])
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    names = [item["metadata"]["name"] for item in first["items"] + second["items"]]
    assert len(set(names)) == 13
    first = await releases.list_cluster_custom_object(*FLUX, limit=5)
    cluster.compact()
    with pytest.raises(client.ApiException) as gone:
        await releases.list_cluster_custom_object(*FLUX, _continue=first["metadata"]["continue"])
    assert gone.value.status == 410


# The client's watch leaves its connection to the collector when it raises.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_watch_from_a_compacted_version_ends_with_410(running: Running) -> None:
    _, cluster, api = await settled(running)
    releases = client.CustomObjectsApi(api)
    await releases.patch_namespaced_custom_object(
        *FLUX[:2], "flux-system", FLUX[2], "bp-gitea", {"metadata": {"annotations": {"a": "b"}}}
    )
    cluster.compact()
    with pytest.raises(client.ApiException) as gone:
        async for _ in watch.Watch().stream(releases.list_cluster_custom_object, *FLUX, resource_version="5"):
            pass
    assert gone.value.status == 410


async def test_a_quiet_watch_gets_bookmarks_that_carry_it_over_a_compaction(running: Running) -> None:
    _, cluster, api = await settled(running)
    releases = client.CustomObjectsApi(api)
    found = await releases.list_cluster_custom_object(*FLUX)
    path = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases"
    url = f"{api.configuration.host}{path}"
    headers = {"Authorization": api.configuration.api_key["authorization"]}
    query = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "1",
        "resourceVersion": found["metadata"]["resourceVersion"],
    }
    trust = ssl.create_default_context(cafile=api.configuration.ssl_ca_cert)
    async with aiohttp.ClientSession() as session, session.get(url, params=query, headers=headers, ssl=trust) as answer:
        lines = [line async for line in answer.content]
    assert b'"BOOKMARK"' in lines[-1]
    assert int(found["metadata"]["resourceVersion"]) <= cluster.store.version


async def test_a_revoked_account_is_told_401_and_its_namespace_is_all_it_may_delete(running: Running) -> None:
    _, cluster, api = running
    core = client.CoreV1Api(api)
    for refused in (
        core.delete_namespace("flux-system"),
        core.list_secret_for_all_namespaces(),
        core.patch_namespace("catalyst-zero", {"metadata": {"labels": {"a": "b"}}}),
    ):
        with pytest.raises(client.ApiException) as forbidden:
            await refused
        assert forbidden.value.status == 403
    assert cluster.get("ClusterRoleBinding", None, "catalyst-zero-watcher")
    await core.delete_namespace("catalyst-zero")
    with pytest.raises(client.ApiException) as unauthorized:
        await core.list_node()
    assert unauthorized.value.status == 401


async def test_only_annotations_and_suspend_of_a_release_may_be_patched(running: Running) -> None:
    _, cluster, api = await settled(running)
    releases = client.CustomObjectsApi(api)
    at = (*FLUX[:2], "flux-system", FLUX[2], "bp-nats-jetstream")
    asked = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "2026-11-23T10:00:00Z"}}}
    await releases.patch_namespaced_custom_object(*at, asked)

    def handled() -> bool:
        item = cluster.get("HelmRelease", "flux-system", "bp-nats-jetstream")[0]
        return bool(item["status"].get("lastHandledReconcileAt") == "2026-11-23T10:00:00Z")

    await eventually(handled)
    suspended = await releases.patch_namespaced_custom_object(*at, {"spec": {"suspend": True}})
    assert suspended["spec"]["suspend"] is True
    with pytest.raises(client.ApiException) as refused:
        await releases.patch_namespaced_custom_object(*at, {"spec": {"interval": "1s"}})
    assert refused.value.status == 422


async def test_a_client_that_does_not_know_the_ca_or_the_token_gets_nothing(running: Running, tmp_path: Path) -> None:
    bench, cluster, api = running
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        async with aiohttp.ClientSession() as session:
            await session.get(f"https://{bench.address}:{API_PORT}/version")
    stranger = bench.client(cluster, "no-such-token", Path(api.configuration.ssl_ca_cert))
    with pytest.raises(client.ApiException) as refused:
        await client.VersionApi(stranger).get_code()
    assert refused.value.status == 401
    assert "simulated" in (await client.VersionApi(api).get_code()).git_version


async def test_every_typed_kind_satisfies_the_client_s_own_models(running: Running) -> None:
    _, _, api = await settled(running)
    core, apps, storage = client.CoreV1Api(api), client.AppsV1Api(api), client.StorageV1Api(api)
    lists = await asyncio.gather(
        core.list_node(),
        core.list_namespace(),
        core.list_pod_for_all_namespaces(),
        core.list_event_for_all_namespaces(),
        core.list_persistent_volume_claim_for_all_namespaces(),
        apps.list_deployment_for_all_namespaces(),
        apps.list_stateful_set_for_all_namespaces(),
        apps.list_daemon_set_for_all_namespaces(),
        storage.list_storage_class(),
    )
    assert all(found.items for found in lists)
    claims = lists[4].items
    assert {claim.status.phase for claim in claims} == {"Bound"}
    pods = await core.list_namespaced_pod("flux-system", label_selector="app=helm-controller")
    log = await core.read_namespaced_pod_log(pods.items[0].metadata.name, "flux-system", tail_lines=5)
    assert "Helm install succeeded" in log
    one = await core.list_namespaced_event("flux-system", field_selector="involvedObject.name=bp-gitea,type=Normal")
    assert {event.involved_object.name for event in one.items} == {"bp-gitea"}


async def test_watches_leave_nothing_behind_when_their_clients_go(running: Running) -> None:
    _, cluster, api = await settled(running)
    url = f"{api.configuration.host}/apis/{'/'.join(KUSTOMIZATIONS)}"
    headers = {"Authorization": api.configuration.api_key["authorization"]}
    trust = ssl.create_default_context(cafile=api.configuration.ssl_ca_cert)
    async with aiohttp.ClientSession(headers=headers) as session:
        answers = [await session.get(url, params={"watch": "true"}, ssl=trust) for _ in range(10)]
        await eventually(lambda: cluster.store.waiting() == 10)
        for answer in answers:
            answer.close()
    await eventually(lambda: cluster.store.waiting() == 0)
