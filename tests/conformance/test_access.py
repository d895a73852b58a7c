"""What the watcher's account may do on a real API server, what it may not, and that nothing works after hand-off."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from flux_watcher.cluster import open_cluster
from flux_watcher.kubeconfig import read_kubeconfig
from flux_watcher.objects import KINDS
from flux_watcher.release import Patience, revoke
from sandbox.real.kube import Kube, Refused, kube
from tests.conformance.conftest import Ground

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


@pytest.mark.timeout(240)
async def test_the_watchers_account_may_watch_annotate_suspend_and_leave_and_nothing_else(ground: Ground) -> None:
    await ground.boot()
    cluster = ground.cluster
    await cluster.apply([THING])
    async with kube(ground.server, ground.token, cluster.kubeconfig_ca()) as watcher:
        await _policy_in_force(watcher)
        allowed = {
            name: await outcome(watcher, "GET", kind.path(kind.versions[0]), None)
            for name, kind in KINDS.items()
            if name not in {"Challenge", "Certificate"}
        }
        assert set(allowed.values()) == {"done"}, allowed
        assert await outcome(watcher, "PATCH", RELEASE, {"metadata": {"annotations": {"reconcile": "now"}}}) == "done"
        assert await outcome(watcher, "PATCH", RELEASE, {"spec": {"suspend": True}}) == "done"
        assert await outcome(watcher, "PATCH", RELEASE, {"spec": {"suspend": None}}) == "done"
        before = await cluster.api.get(THING["apiVersion"], THING["kind"], "thing", "flux-system")
        refusals = {what: await outcome(watcher, *asked) for what, asked in REFUSED.items()}
        wrong = {what: found for what, found in refusals.items() if not found.startswith(("403", "422"))}
        assert wrong == {}
        assert await cluster.api.get(THING["apiVersion"], THING["kind"], "thing", "flux-system") == before
    async with open_cluster(read_kubeconfig(ground.kubeconfig()), ground.server) as own:
        removed = await revoke(own, Patience(for_s=30))
        assert "Namespace/catalyst-zero" in removed
    async with kube(ground.server, ground.token, cluster.kubeconfig_ca()) as watcher:
        assert await outcome(watcher, "GET", "/api/v1/nodes", None) == "401 Unauthorized"


async def _policy_in_force(watcher: Kube) -> None:
    """An admission policy counts from the moment that the API server has read it, a little after it was made."""
    async with asyncio.timeout(60):
        for number in itertools.count():
            changed = {"metadata": {"labels": {"try": str(number)}}}
            if await outcome(watcher, "PATCH", RELEASE, changed) != "done":
                return
            await asyncio.sleep(0.2)
