"""A release brings its namespace only when it says so, as with Helm."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sandbox.cluster import LightCluster, build_clusters, flux_crds
from tests.integration.sandbox_cluster.conftest import Bench, address, conditions, eventually
from tests.small_kit import Part, write_kit

CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller")


def deployment(name: str) -> dict[str, object]:
    metadata = {"name": name, "namespace": "flux-system", "labels": {"app": name}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "manager", "image": "flux"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def state(cluster: LightCluster, name: str) -> tuple[str, str]:
    found = cluster.get("HelmRelease", "flux-system", name)
    return conditions(found[0]).get("Ready", ("", "")) if found else ("", "")


@pytest.mark.parametrize(("makes", "ends"), [(True, ("True", "InstallSucceeded")), (False, ("False", "InstallFailed"))])
async def test_a_release_has_a_namespace_when_it_may_make_one(
    tmp_path: Path, makes: bool, ends: tuple[str, str]
) -> None:
    part = Part("bp-base", install={"createNamespace": makes, "remediation": {"retries": 0}})
    kit = write_kit(tmp_path / "small", [part])
    bench = Bench(build_clusters(tmp_path / "sandbox", kit, pace=0.05), address())
    try:
        cluster = await bench.boot()
        await cluster.apply([*flux_crds(), *map(deployment, CONTROLLERS)])
        await bench.hand_kit_to_flux(cluster)
        await eventually(lambda: state(cluster, "bp-base") == ends)
        assert bool(cluster.get("Namespace", None, "small")) is makes
        [item] = cluster.get("HelmRelease", "flux-system", "bp-base")
        if not makes:
            assert 'namespaces "small" not found' in yaml.safe_dump(item["status"]["conditions"], width=500)
    finally:
        await bench.close()
