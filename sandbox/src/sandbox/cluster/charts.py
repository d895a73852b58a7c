"""What a release's chart would render: the workloads that the catalogue names, and Flux's own CRDs for its chart.

Stands in for Helm: no template is rendered. Objects carry the labels and annotations by which Helm and
helm-controller mark what they own, so that a watcher finds a release's workloads as on a real cluster.
"""

from __future__ import annotations

from typing import Final

from sandbox.cluster.front_kinds import CERT_MANAGER_KINDS
from sandbox.cluster.kit import Component, Kit, Workload
from sandbox.cluster.model import COMPONENT_LABEL, FLUX_NAMESPACE, Model
from sandbox.cluster.objects import CRD, FLUX_KINDS, Json, Kind, timestamp

_CRDS_OF_CHARTS: Final = {"flux2": FLUX_KINDS, "cert-manager": CERT_MANAGER_KINDS}
FLUX_CONTROLLERS: Final = (
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
)
RELEASE_NAME: Final = "meta.helm.sh/release-name"
RELEASE_NAMESPACE: Final = "meta.helm.sh/release-namespace"


def rendered(kit: Kit, release: str, release_name: str, namespace: str) -> list[Json]:
    """The workloads (and claims) of a component's release; one Deployment for a release that no catalogue names."""
    component = kit.components.get(release)
    workloads: tuple[Workload, ...] = component.workloads if component else ()
    if not kit.components:
        workloads = (Workload(kind="Deployment", name=release_name),)
    objects: list[Json] = []
    for workload in workloads:
        if not workload.plain:
            objects.extend(_objects(workload, component, release, release_name, namespace))
    return objects


def flux_crds() -> list[Json]:
    """CRDs of the Flux kinds, without their schemas."""
    return [_crd(kind) for kind in FLUX_KINDS]


def kind_of_crd(document: Json) -> list[Kind]:
    """The kinds that a CRD serves."""
    spec = document["spec"]
    return [
        Kind(
            spec["group"],
            version["name"],
            spec["names"]["kind"],
            spec["names"]["plural"],
            spec["scope"] == "Namespaced",
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]


def install(model: Model, release: str, release_name: str, namespace: str) -> None:
    """Put a release's objects into the cluster; what is there already is adopted."""
    component = model.kit.components.get(release)
    if component is not None:
        for crd in _CRDS_OF_CHARTS.get(component.chart.name, ()):
            serve_crd(model, _crd(crd))
    for item in rendered(model.kit, release, release_name, namespace):
        kind = model.store.kind_named(item["apiVersion"], item["kind"])
        if kind is not None:
            model.ensure(kind, item)


def remove(model: Model, release: str, release_name: str, namespace: str) -> None:
    """Take a release's objects away (claims stay, as with Helm)."""
    for item in rendered(model.kit, release, release_name, namespace):
        kind = model.store.kind_named(item["apiVersion"], item["kind"])
        metadata = item["metadata"]
        found = kind and model.store.get(kind, metadata["namespace"], metadata["name"])
        if kind and found and item["kind"] != "PersistentVolumeClaim":
            model.store.delete(kind, metadata["namespace"], metadata["name"])


def serve_crd(model: Model, document: Json) -> str:
    """Apply a CRD: its kinds are served from now on."""
    outcome = model.ensure(CRD, document)
    for kind in kind_of_crd(document):
        if (kind.group, kind.version, kind.plural) not in model.store.kinds:
            model.store.serve(kind)
    name = document["metadata"]["name"]
    if not (model.store.require(CRD, "", name).get("status") or {}):
        established = {
            "type": "Established",
            "status": "True",
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
            "lastTransitionTime": timestamp(),
        }
        versions = [version["name"] for version in document["spec"]["versions"]]
        status = {
            "conditions": [established],
            "storedVersions": versions,
            "acceptedNames": document["spec"]["names"],
        }
        model.store.set_status(CRD, "", name, status)
    return outcome


def _objects(
    workload: Workload, component: Component | None, release: str, release_name: str, namespace: str
) -> list[Json]:
    labels = {
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/instance": release_name,
        "app": workload.name,
        COMPONENT_LABEL: release,
        "helm.toolkit.fluxcd.io/namespace": FLUX_NAMESPACE,
    }
    annotations = {RELEASE_NAME: release_name, RELEASE_NAMESPACE: namespace}
    metadata: Json = {
        "name": workload.name,
        "namespace": namespace,
        "labels": labels,
        "annotations": annotations,
    }
    version = component.chart.version if component else "0.0.0"
    container: Json = {"name": workload.name, "image": f"simulated/{workload.name}:{version}"}
    pod: Json = {"containers": [container]}
    spec: Json = {
        "selector": {"matchLabels": {"app": workload.name}},
        "template": {"metadata": {"labels": {"app": workload.name}}, "spec": pod},
    }
    if workload.kind != "DaemonSet":
        spec["replicas"] = workload.replicas
    objects: list[Json] = []
    if workload.volume and workload.kind == "StatefulSet":
        spec["serviceName"] = workload.name
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": _claim(workload)}]
    elif workload.volume:
        name = f"{workload.name}-data"
        pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {**metadata, "name": name},
                "spec": _claim(workload),
                "status": {"phase": "Pending"},
            }
        )
    objects.append({"apiVersion": "apps/v1", "kind": workload.kind, "metadata": metadata, "spec": spec})
    return objects


def _claim(workload: Workload) -> Json:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": workload.volume}}}


def _crd(kind: Kind) -> Json:
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": kind.resource},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.kind,
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "listKind": f"{kind.kind}List",
            },
            "versions": [{"name": kind.version, "served": True, "storage": True}],
        },
    }
