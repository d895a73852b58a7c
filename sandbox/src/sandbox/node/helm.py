"""helm of simulated servers: what the two charts that a boot installs bring into the light cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sandbox.cluster import flux_crds
from sandbox.node.k3s import Sovereign
from sandbox.node.kubectl import Options, parse
from sandbox.node.ports import Document
from sandbox.node.switchboard import Answer

FLUX_CONTROLLERS: Final = ("source-controller", "kustomize-controller", "helm-controller", "notification-controller")

_CILIUM_KINDS: Final = (
    ("cilium.io", "v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", "Cluster"),
    ("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies", "Namespaced"),
)
_POSITIONAL: Final = 3


async def helm(sovereign: Sovereign, arguments: Sequence[str]) -> Answer:
    """Run helm with these arguments."""
    options = parse(arguments, flags=frozenset({"install", "create-namespace", "wait"}))
    if options.words[:1] != ["upgrade"] or len(options.words) != _POSITIONAL or "install" not in options.flags:
        return Answer(1, f"Error: not simulated: helm {' '.join(arguments)}")
    _, release, chart = options.words
    namespace = options.value("namespace") or "default"
    documents = _documents(sovereign, chart, namespace, options)
    if documents is None:
        return Answer(1, f"Error: chart {chart!r} not found: the sandbox knows cilium and flux2")
    await sovereign.cluster.apply(documents)
    return Answer(0, f"Release {release!r} has been upgraded. Happy Helming!")


def _documents(sovereign: Sovereign, chart: str, namespace: str, options: Options) -> list[Document] | None:
    release, version = options.words[1], options.value("version")

    def workload(kind: str, name: str) -> Document:
        return _workload(kind, name, namespace, release, version)

    if chart == "cilium":
        documents = [_definition(*kind) for kind in _CILIUM_KINDS]
        if sovereign.options.get("flannel-backend") == "none":
            documents += [workload("DaemonSet", "cilium"), workload("Deployment", "cilium-operator")]
        # With another network already there the agents never get ready: the DaemonSet stays away, and waits run out.
        return documents
    if chart == "flux2":
        documents = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, *flux_crds()]
        return documents + [workload("Deployment", name) for name in FLUX_CONTROLLERS]
    return None


def _definition(group: str, version: str, kind: str, plural: str, scope: str) -> Document:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "scope": scope,
            "versions": [{"name": version, "served": True, "storage": True}],
        },
    }


def _workload(kind: str, name: str, namespace: str, release: str, version: str) -> Document:
    """A workload of the chart, in the very shape that the light cluster gives it when the kit's release adopts it."""
    spec: Document = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": name, "image": f"simulated/{name}:{version}"}]},
        },
    }
    if kind == "Deployment":
        spec["replicas"] = 1
    labels = {"app": name, "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": release}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}
