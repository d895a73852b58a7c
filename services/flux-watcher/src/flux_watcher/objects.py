"""What is watched, and what is kept of it.

A cluster's objects are somebody else's words: any field may be missing, of another type, a megabyte long or from the
future. ``seen`` takes one apart and keeps a small record with bounded texts; nothing else of an object is held. A kind
knows where it is served; the API versions are a preference, the cluster says which of them it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

MESSAGE_LIMIT: Final = 1000
NAME_LIMIT: Final = 253
FLUX_SYSTEM: Final = "flux-system"


@dataclass(frozen=True)
class Kind:
    """A kind of object: its group, its plural, its API versions from the preferred one on."""

    name: str
    group: str
    plural: str
    versions: tuple[str, ...] = ("v1",)

    def path(self, version: str, namespace: str = "") -> str:
        """Where its collection is served."""
        root = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"


_SOURCE: Final = "source.toolkit.fluxcd.io"
GIT_REPOSITORY: Final = Kind("GitRepository", _SOURCE, "gitrepositories", ("v1", "v1beta2"))
OCI_REPOSITORY: Final = Kind("OCIRepository", _SOURCE, "ocirepositories", ("v1", "v1beta2"))
HELM_REPOSITORY: Final = Kind("HelmRepository", _SOURCE, "helmrepositories", ("v1", "v1beta2"))
HELM_CHART: Final = Kind("HelmChart", _SOURCE, "helmcharts", ("v1", "v1beta2"))
KUSTOMIZATION: Final = Kind("Kustomization", "kustomize.toolkit.fluxcd.io", "kustomizations", ("v1", "v1beta2"))
HELM_RELEASE: Final = Kind("HelmRelease", "helm.toolkit.fluxcd.io", "helmreleases", ("v2", "v2beta2", "v2beta1"))
DEPLOYMENT: Final = Kind("Deployment", "apps", "deployments")
STATEFUL_SET: Final = Kind("StatefulSet", "apps", "statefulsets")
DAEMON_SET: Final = Kind("DaemonSet", "apps", "daemonsets")
NODE: Final = Kind("Node", "", "nodes")
CLAIM: Final = Kind("PersistentVolumeClaim", "", "persistentvolumeclaims")
POD: Final = Kind("Pod", "", "pods")
STORAGE_CLASS: Final = Kind("StorageClass", "storage.k8s.io", "storageclasses")
CHALLENGE: Final = Kind("Challenge", "acme.cert-manager.io", "challenges")
CERTIFICATE: Final = Kind("Certificate", "cert-manager.io", "certificates")

FLUX_KINDS: Final = (GIT_REPOSITORY, OCI_REPOSITORY, HELM_REPOSITORY, HELM_CHART, KUSTOMIZATION, HELM_RELEASE)
"""Watched all the time: their changes are the story."""
WORKLOAD_KINDS: Final = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
LISTED_KINDS: Final = (*WORKLOAD_KINDS, NODE)
"""Listed every few seconds while something is not ready, else once a minute."""
EVIDENCE_KINDS: Final = (CLAIM, POD, STORAGE_CLASS, CHALLENGE)
"""Listed when nothing moves, to say why."""
KINDS: Final = {
    kind.name: kind for kind in (*FLUX_KINDS, *LISTED_KINDS, *EVIDENCE_KINDS, CERTIFICATE)
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """One status condition."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: datetime | None = None
    generation: int | None = None
    """The generation that it speaks of; None where the controller does not say."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of one object."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int = 0
    observed: int = -1
    """``status.observedGeneration``; -1 where there is none, as the CRDs default it."""
    deleting: bool = False
    suspended: bool = False
    conditions: tuple[Condition, ...] = ()
    depends_on: tuple[str, ...] = ()
    source: str = ""
    """``Kind/name`` of what it is fetched from."""
    revision: str = ""
    """Applied (Kustomization), fetched (sources) or attempted (HelmRelease)."""
    version: str = ""
    """Chart version that is installed."""
    wanted: str = ""
    """Chart version that its spec asks for; may be a range."""
    attempts: int = 0
    deployed: bool = False
    """A HelmRelease that was deployed before; a Kustomization that was applied before."""
    desired: int = 0
    available: int = 0
    last: str = ""
    """How the last check of the revision that it attempts ended: a Kustomization's reason."""
    static: bool = False
    """Never has conditions: an OCI HelmRepository is only an address."""
    mark: str = ""
    """Resource version: names a change where the status carries no time of it."""
    phase: str = ""
    detail: str = ""
    """Why a pod waits, or a challenge's reason."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name: what an object is called within its kind."""
        return (self.namespace, self.name)

    @property
    def title(self) -> str:
        """``Kind/name``, with the namespace where it is not Flux's own."""
        inner = self.name if self.namespace in {"", FLUX_SYSTEM} else f"{self.namespace}/{self.name}"
        return f"{self.kind}/{inner}"

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type."""
        return next((item for item in self.conditions if item.type == kind), None)


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _text(value: object, limit: int = NAME_LIMIT) -> str:
    if not isinstance(value, str):
        return ""
    return value if len(value) <= limit else f"{value[: limit - 1]}…"


def _int(value: object, default: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return default
    return max(min(value, 2**53), -1)


def moment(value: object) -> datetime | None:
    """A Kubernetes time stamp; None when it is none. One from the future is cut to now: clocks differ."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _conditions(status: Mapping[str, Any]) -> tuple[Condition, ...]:
    found = []
    for raw in _list(status.get("conditions"))[:40]:
        item = _map(raw)
        if not isinstance(item.get("type"), str):
            continue
        generation = item.get("observedGeneration")
        found.append(
            Condition(
                type=_text(item.get("type")),
                status=_text(item.get("status")),
                reason=_text(item.get("reason")),
                message=_text(item.get("message"), MESSAGE_LIMIT),
                since=moment(item.get("lastTransitionTime")),
                generation=_int(generation) if isinstance(generation, int) else None,
            )
        )
    return tuple(found)


def _reference(raw: object) -> str:
    item = _map(raw)
    name = _text(item.get("name"))
    return f"{_text(item.get('kind'))}/{name}" if name else ""


def seen(kind: Kind, raw: object) -> Seen | None:
    """The record of an object; None when it has no name or no uid, so nothing can be said of it."""
    item = _map(raw)
    metadata, spec, status = _map(item.get("metadata")), _map(item.get("spec")), _map(item.get("status"))
    name, uid = _text(metadata.get("name")), _text(metadata.get("uid"))
    if not name or not uid:
        return None
    special: dict[str, Any] = {}
    if kind.name in _PARTS:
        special = _PARTS[kind.name](item, spec, status)
    observed = _int(status["observedGeneration"], -1) if "observedGeneration" in status else -1
    return Seen(
        kind=kind.name,
        namespace=_text(metadata.get("namespace")),
        name=name,
        uid=uid,
        generation=_int(metadata.get("generation")),
        observed=observed,
        deleting=metadata.get("deletionTimestamp") is not None,
        suspended=spec.get("suspend") is True,
        conditions=_conditions(status),
        mark=_text(metadata.get("resourceVersion")),
        **special,
    )


_Item = Mapping[str, Any]


def _source_parts(_item: _Item, _spec: _Item, status: _Item) -> dict[str, Any]:
    artifact = _map(status.get("artifact"))
    return {"revision": _text(artifact.get("revision")), "deployed": bool(artifact)}


def _helm_repository(item: _Item, spec: _Item, status: _Item) -> dict[str, Any]:
    return {**_source_parts(item, spec, status), "static": spec.get("type") == "oci"}


def _helm_chart(item: _Item, spec: _Item, status: _Item) -> dict[str, Any]:
    return {
        **_source_parts(item, spec, status),
        "source": _reference(spec.get("sourceRef")),
        "wanted": _text(spec.get("version")),
    }


def _depends(spec: _Item) -> tuple[str, ...]:
    names = (_text(_map(raw).get("name")) for raw in _list(spec.get("dependsOn"))[:100])
    return tuple(name for name in names if name)


def _kustomization(_item: _Item, spec: _Item, status: _Item) -> dict[str, Any]:
    applied = _text(status.get("lastAppliedRevision"))
    entries = _list(_map(status.get("inventory")).get("entries"))
    newest = _map(next(iter(_list(status.get("history"))), None))
    same = _map(newest.get("metadata")).get("revision") == status.get("lastAttemptedRevision")
    return {
        "depends_on": _depends(spec),
        "source": _reference(spec.get("sourceRef")),
        "revision": applied,
        "deployed": bool(applied or entries),
        "last": _text(newest.get("lastReconciledStatus")) if same else "",
    }


def _helm_release(_item: _Item, spec: _Item, status: _Item) -> dict[str, Any]:
    chart = _map(_map(spec.get("chart")).get("spec"))
    history = [_map(raw) for raw in _list(status.get("history"))[:20]]
    deployed = next((entry for entry in history if entry.get("status") == "deployed"), {})
    failures = max(_int(status.get(field)) for field in ("failures", "installFailures", "upgradeFailures"))
    return {
        "depends_on": _depends(spec),
        "source": _reference(spec.get("chartRef")) or _reference(chart.get("sourceRef")),
        "revision": _text(status.get("lastAttemptedRevision")),
        "version": _text(deployed.get("chartVersion")),
        "wanted": _text(chart.get("version")),
        "attempts": max(failures, 0),
        "deployed": any(entry.get("status") in {"deployed", "superseded"} for entry in history),
    }  # fmt: skip


def _deployment(_item: _Item, spec: _Item, status: _Item) -> dict[str, Any]:
    desired = _int(spec.get("replicas"), 1)
    updated = _int(status.get("updatedReplicas"))
    return {"desired": desired, "available": min(_int(status.get("availableReplicas")), updated)}


def _stateful_set(_item: _Item, spec: _Item, status: _Item) -> dict[str, Any]:
    available = status.get("availableReplicas", status.get("readyReplicas"))
    return {"desired": _int(spec.get("replicas"), 1), "available": _int(available)}


def _daemon_set(_item: _Item, _spec: _Item, status: _Item) -> dict[str, Any]:
    available = status.get("numberAvailable", status.get("numberReady"))
    desired = _int(status.get("desiredNumberScheduled"), 1)
    return {"desired": desired, "available": _int(available)}


def _claim(_item: _Item, spec: _Item, status: _Item) -> dict[str, Any]:
    return {"phase": _text(status.get("phase")), "source": _text(spec.get("storageClassName"))}


def _pod(_item: _Item, _spec: _Item, status: _Item) -> dict[str, Any]:
    return {"phase": _text(status.get("phase")), "detail": _waiting(status)}


def _waiting(status: _Item) -> str:
    """Why a pod's containers wait: the reasons only."""
    reasons = []
    for field in ("initContainerStatuses", "containerStatuses"):
        for raw in _list(status.get(field))[:50]:
            waiting = _map(_map(_map(raw).get("state")).get("waiting"))
            if reason := _text(waiting.get("reason")):
                reasons.append(reason)
    return ",".join(dict.fromkeys(reasons))


def _storage_class(item: _Item, _spec: _Item, _status: _Item) -> dict[str, Any]:
    annotations = _map(_map(item.get("metadata")).get("annotations"))
    default = annotations.get("storageclass.kubernetes.io/is-default-class") == "true"
    return {"phase": "default" if default else ""}


def _challenge(_item: _Item, spec: _Item, status: _Item) -> dict[str, Any]:
    return {
        "phase": _text(status.get("state")),
        "detail": _text(status.get("reason"), MESSAGE_LIMIT),
        "source": _text(spec.get("dnsName")),
    }


_PARTS: Final = {
    "GitRepository": _source_parts,
    "OCIRepository": _source_parts,
    "HelmRepository": _helm_repository,
    "HelmChart": _helm_chart,
    "Kustomization": _kustomization,
    "HelmRelease": _helm_release,
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "PersistentVolumeClaim": _claim,
    "Pod": _pod,
    "StorageClass": _storage_class,
    "Challenge": _challenge,
}
