"""What the watcher's account must not do in a cluster, and how a real API server refused each of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.real.kube import Kube, Refused

RECORDED = Path(__file__).parent / "conformance" / "recorded" / "rights.json"
MERGE = "application/merge-patch+json"
RELEASE = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/flux-system/helmreleases/thing"
THING: dict[str, Any] = {
    "apiVersion": "helm.toolkit.fluxcd.io/v2",
    "kind": "HelmRelease",
    "metadata": {"name": "thing", "namespace": "flux-system", "labels": {"of": "somebody"}},
    "spec": {
        "interval": "1h",
        "chart": {"spec": {"chart": "thing", "version": "1.0.0", "sourceRef": {"kind": "HelmRepository", "name": "x"}}},
    },
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "more"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "watcher", "namespace": "catalyst-zero"}],
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "mine"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
REFUSED: dict[str, tuple[str, str, Any]] = {
    "changes a chart's version": ("PATCH", RELEASE, {"spec": {"chart": {"spec": {"version": "2.0.0"}}}}),
    "removes a field of the spec": ("PATCH", RELEASE, {"spec": {"interval": None, "chart": None}}),
    "adds values": ("PATCH", RELEASE, {"spec": {"suspend": True, "values": {"image": "mine"}}}),
    "changes a label": ("PATCH", RELEASE, {"metadata": {"labels": {"of": "me"}}}),
    "removes a label": ("PATCH", RELEASE, {"metadata": {"labels": {"of": None}}}),
    "adds a finalizer": ("PATCH", RELEASE, {"metadata": {"finalizers": ["example.test/mine"]}}),
    "writes a status": ("PATCH", f"{RELEASE}/status", {"status": {"failures": 1}}),
    "deletes a release": ("DELETE", RELEASE, None),
    "makes a release": ("POST", RELEASE.rpartition("/")[0], {**THING, "metadata": {"name": "other"}}),
    "reads secrets": ("GET", "/api/v1/secrets", None),
    "reads its own token again": ("GET", "/api/v1/namespaces/catalyst-zero/secrets/watcher-token", None),
    "reads the Sovereign's values": ("GET", "/api/v1/namespaces/flux-system/configmaps", None),
    "makes a pod": ("POST", "/api/v1/namespaces/default/pods", POD),
    "runs something in a pod": ("POST", "/api/v1/namespaces/flux-system/pods/any/exec?command=id", None),
    "reads logs elsewhere": ("GET", "/api/v1/namespaces/kube-system/pods/any/log", None),
    "goes through a node": ("GET", "/api/v1/nodes/acme-omani-works-cp1/proxy/", None),
    "changes a Deployment": (
        "PATCH",
        "/apis/apps/v1/namespaces/flux-system/deployments/any",
        {"spec": {"replicas": 0}},
    ),
    "deletes another namespace": ("DELETE", "/api/v1/namespaces/flux-system", None),
    "renames its namespace's labels": (
        "PATCH",
        "/api/v1/namespaces/catalyst-zero",
        {"metadata": {"labels": {"a": "b"}}},
    ),
    "binds itself to more": ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", BINDING),
    "asks for another account's token": (
        "POST",
        "/api/v1/namespaces/kube-system/serviceaccounts/default/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}},
    ),
    "drops the policy that holds it": (
        "DELETE",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/catalyst-zero-watcher",
        None,
    ),
}


async def outcome(api: Kube, method: str, path: str, body: Any) -> str:
    content_type = MERGE if method == "PATCH" else "application/json"
    try:
        await api.call(method, path, body, content_type=content_type)
    except Refused as refused:
        return f"{refused.status} {refused.reason}"
    return "done"


async def refusals(api: Kube) -> dict[str, str]:
    """How the cluster answers each of these."""
    return {what: await outcome(api, *asked) for what, asked in REFUSED.items()}


def recorded() -> Mapping[str, str]:
    """How a real API server did."""
    found: Mapping[str, str] = json.loads(RECORDED.read_text())["refused"]
    return found
