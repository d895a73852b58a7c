"""What the simulated API serves: kinds, and the JSON objects of each.

An object is plain JSON (a dict) and never changed in place: every write puts a new top-level dict with the
untouched parts shared. That is what lets hundreds of clusters share one parsed kit, and lets a watch hold
an old version without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]
Key = tuple[str, str]  # (namespace, name); the namespace of a cluster-scoped object is empty


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the API: where it is served and what it is called."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The name that Status messages use: `helmreleases.helm.toolkit.fluxcd.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _core(kind: str, plural: str, *, namespaced: bool = True) -> Kind:
    return Kind("", "v1", kind, plural, namespaced)


NAMESPACE: Final = _core("Namespace", "namespaces", namespaced=False)
NODE: Final = _core("Node", "nodes", namespaced=False)
POD: Final = _core("Pod", "pods")
PVC: Final = _core("PersistentVolumeClaim", "persistentvolumeclaims")
EVENT: Final = _core("Event", "events")
SECRET: Final = _core("Secret", "secrets")
CONFIG_MAP: Final = _core("ConfigMap", "configmaps")
SERVICE_ACCOUNT: Final = _core("ServiceAccount", "serviceaccounts")
DEPLOYMENT: Final = Kind("apps", "v1", "Deployment", "deployments")
STATEFUL_SET: Final = Kind("apps", "v1", "StatefulSet", "statefulsets")
DAEMON_SET: Final = Kind("apps", "v1", "DaemonSet", "daemonsets")
STORAGE_CLASS: Final = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
CRD: Final = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
CLUSTER_ROLE: Final = Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING: Final = Kind(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
ROLE: Final = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING: Final = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
ADMISSION_POLICY: Final = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
GIT_REPOSITORY: Final = Kind("source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories")
HELM_REPOSITORY: Final = Kind("source.toolkit.fluxcd.io", "v1", "HelmRepository", "helmrepositories")
OCI_REPOSITORY: Final = Kind("source.toolkit.fluxcd.io", "v1", "OCIRepository", "ocirepositories")
HELM_CHART: Final = Kind("source.toolkit.fluxcd.io", "v1", "HelmChart", "helmcharts")
BUCKET: Final = Kind("source.toolkit.fluxcd.io", "v1", "Bucket", "buckets")
KUSTOMIZATION: Final = Kind("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations")
HELM_RELEASE: Final = Kind("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases")

FLUX_KINDS: Final = (
    GIT_REPOSITORY,
    HELM_REPOSITORY,
    OCI_REPOSITORY,
    HELM_CHART,
    BUCKET,
    KUSTOMIZATION,
    HELM_RELEASE,
)

BUILT_IN: Final = (
    NAMESPACE,
    NODE,
    POD,
    PVC,
    EVENT,
    SECRET,
    CONFIG_MAP,
    SERVICE_ACCOUNT,
    DEPLOYMENT,
    STATEFUL_SET,
    DAEMON_SET,
    STORAGE_CLASS,
    CRD,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
    ADMISSION_POLICY,
    _core("Service", "services"),
    _core("Endpoints", "endpoints"),
    _core("PersistentVolume", "persistentvolumes", namespaced=False),
    _core("ResourceQuota", "resourcequotas"),
    Kind("apps", "v1", "ReplicaSet", "replicasets"),
    Kind("batch", "v1", "Job", "jobs"),
    Kind("batch", "v1", "CronJob", "cronjobs"),
    Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    Kind("networking.k8s.io", "v1", "Ingress", "ingresses"),
    Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        namespaced=False,
    ),
)


def key_of(item: Mapping[str, Any]) -> Key:
    """Where the object lies."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def timestamp() -> str:
    """The present in the one-second form that Kubernetes writes."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge(target: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386); what is not touched is shared with the target."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


Matches = Callable[[Json], bool]
