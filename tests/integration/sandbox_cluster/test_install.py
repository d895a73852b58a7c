from __future__ import annotations

from tests.integration.sandbox_cluster.conftest import Running, client, conditions, eventually, watch

FLUX = ("helm.toolkit.fluxcd.io", "v2", "helmreleases")


async def test_the_whole_kit_becomes_ready_for_a_real_client(running: Running) -> None:
    _, cluster, api = running
    releases = client.CustomObjectsApi(api)

    async def all_ready() -> bool:
        found = await releases.list_cluster_custom_object(*FLUX)
        ready = [item for item in found["items"] if conditions(item).get("Ready", ("", ""))[0] == "True"]
        return len(ready) == 13

    await eventually(all_ready)
    found = await releases.list_cluster_custom_object("kustomize.toolkit.fluxcd.io", "v1", "kustomizations")
    assert {item["metadata"]["name"] for item in found["items"]} >= {"catalyst-kit", "bp-cilium", "bp-gitea"}
    await eventually(
        lambda: all(conditions(item)["Ready"][0] == "True" for item in cluster.get("Kustomization", None, None))
    )
    deployments = await client.AppsV1Api(api).list_deployment_for_all_namespaces()
    assert all(each.status.available_replicas == each.spec.replicas for each in deployments.items)
    assert len((await client.CoreV1Api(api).list_node()).items) == 2


async def test_chosen_components_come_with_the_root_and_one_that_the_kit_lacks_is_named(running: Running) -> None:
    _, cluster, _ = running
    (root,) = cluster.get("Kustomization", "flux-system", "catalyst-kit")

    async def choose(*names: str) -> None:
        wanted = {**root["spec"], "components": [f"options/{name}" for name in names]}
        await cluster.apply([{**root, "spec": wanted}])

    def is_ready(kind: str, name: str) -> bool:
        found = cluster.get(kind, "flux-system", name)
        return any(conditions(item).get("Ready", ("", ""))[0] == "True" for item in found)

    await choose("loki", "alloy")
    await eventually(lambda: is_ready("HelmRelease", "bp-alloy") and is_ready("Kustomization", "bp-alloy"))
    assert is_ready("HelmRelease", "bp-loki")
    assert not cluster.get("HelmRelease", "flux-system", "bp-harbor")
    await choose("nothing-of-this-name")
    await eventually(
        lambda: any(
            conditions(item).get("Ready") == ("False", "BuildFailed")
            for item in cluster.get("Kustomization", "flux-system", "catalyst-kit")
        )
    )


async def test_a_value_that_breaks_a_manifest_is_a_failed_build_that_says_so_and_heals(running: Running) -> None:
    _, cluster, _ = running
    (values,) = cluster.get("ConfigMap", "flux-system", "catalyst-sovereign")
    await cluster.apply([{**values, "data": {**values["data"], "SOVEREIGN_ID": "acme\n}: ["}}])

    def said() -> tuple[str, str]:
        found = cluster.get("Kustomization", "flux-system", "bp-spire")
        return conditions(found[0]).get("Ready", ("", "")) if found else ("", "")

    await eventually(lambda: said() == ("False", "BuildFailed"))
    await cluster.apply([values])
    await eventually(lambda: said()[0] == "True")


async def test_a_watch_follows_a_release_from_nothing_to_ready_in_order(running: Running) -> None:
    _, _, api = running
    releases = client.CustomObjectsApi(api)
    seen: list[tuple[str, str]] = []
    async with watch.Watch().stream(releases.list_cluster_custom_object, *FLUX, timeout_seconds=20) as stream:
        async for event in stream:
            item = event["object"]
            if item["metadata"]["name"] == "bp-spire":
                ready = conditions(item).get("Ready", ("", ""))
                if not seen or seen[-1] != ready:
                    seen.append(ready)
                if ready[0] == "True":
                    break
    assert seen[-2:] == [("Unknown", "Progressing"), ("True", "InstallSucceeded")]
