"""The simulated source-controller: each kind of source, to an artifact or to why there is none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sandbox.cluster.agenda import Sequence
from sandbox.cluster.conditions import Status
from sandbox.cluster.model import REQUESTED_AT, Model
from sandbox.cluster.objects import (
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_REPOSITORY,
    OCI_REPOSITORY,
    Json,
    Kind,
    timestamp,
)
from sandbox.cluster.scenario import Trouble

CONTROLLER: Final = "source-controller"
_FETCH_S: Final = 0.2
_AGAIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    """How one kind of source says that it could not fetch."""

    reason: str
    missing: str
    unauthorized: str


_REFUSALS: Final = {
    GIT_REPOSITORY: _Refusal(
        "GitOperationFailed",
        "failed to checkout and determine revision: unable to clone '{url}': repository not found",
        "failed to checkout and determine revision: unable to clone '{url}': authentication required",
    ),
    HELM_REPOSITORY: _Refusal(
        "IndexationFailed",
        "failed to fetch Helm repository index: failed to cache index to temporary file: failed to fetch "
        "{url}/index.yaml : 404 Not Found",
        "failed to fetch Helm repository index: failed to cache index to temporary file: failed to fetch "
        "{url}/index.yaml : 401 Unauthorized",
    ),
    OCI_REPOSITORY: _Refusal(
        "OCIArtifactPullFailed",
        "failed to determine artifact digest: GET {url}: MANIFEST_UNKNOWN: manifest unknown",
        "failed to determine artifact digest: GET {url}: UNAUTHORIZED: authentication required",
    ),
}


class Sources:
    """Reconciles the sources of one cluster."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def reconcile(self, kind: Kind, namespace: str, name: str) -> Sequence:
        """One reconciliation, retried until it has an artifact."""
        key = (kind, (namespace, name))
        yield from self._model.until(key, lambda: self._model.running(CONTROLLER))
        while True:
            item = self._model.store.get(kind, namespace, name)
            if item is None or item["spec"].get("suspend"):
                return
            status = Status(item).progressing("building artifact" if kind == GIT_REPOSITORY else "reconciling")
            self._write(kind, item, status)
            yield _FETCH_S
            item = self._model.store.get(kind, namespace, name)
            if item is None:
                return
            if kind == HELM_CHART and not self._has_repository(item):
                yield from self._await_repository(item)
                continue
            refused = self._refused(kind, item)
            if not refused:
                self._store_artifact(kind, item)
                return
            status = Status(item).reconciling(refused[1], "ProgressingWithRetry")
            status.mark("FetchFailed", "True", *refused).mark("Ready", "False", *refused)
            self._write(kind, item, status)
            self._model.event(item, refused[0], refused[1], source=CONTROLLER, warning=True)
            yield _AGAIN_S

    def _refused(self, kind: Kind, item: Json) -> tuple[str, str] | None:
        refusal = _REFUSALS.get(kind)
        if refusal is None:
            return None
        faults, url = self._model.faults, item["spec"].get("url", "")
        missing: tuple[Trouble, str] = ("source-missing", item["metadata"]["name"])
        unauthorized: tuple[Trouble, str] = ("source-unauthorized", item["metadata"]["name"])
        if kind == GIT_REPOSITORY:
            missing, unauthorized = ("kit-source-missing", ""), ("kit-source-unauthorized", "")
        if faults.take(*missing):
            return refusal.reason, refusal.missing.format(url=url)
        if faults.take(*unauthorized):
            return refusal.reason, refusal.unauthorized.format(url=url)
        return None

    def _has_repository(self, chart: Json) -> bool:
        return artifact_revision(self._repository(chart)) != ""

    def _repository(self, chart: Json) -> Json | None:
        reference = chart["spec"]["sourceRef"]
        kind = self._model.store.kind_named("source.toolkit.fluxcd.io/v1", reference["kind"])
        if kind is None:
            return None
        return self._model.store.get(kind, chart["metadata"]["namespace"], reference["name"])

    def _await_repository(self, chart: Json) -> Sequence:
        reference = chart["spec"]["sourceRef"]
        message = f"no artifact available for {reference['kind']} source '{reference['name']}'"
        status = Status(chart).reconciling(message, "ProgressingWithRetry")
        status.mark("FetchFailed", "True", "SourceUnavailable", message)
        self._write(HELM_CHART, chart, status.mark("Ready", "False", "SourceUnavailable", message))
        key = (HELM_CHART, (chart["metadata"]["namespace"], chart["metadata"]["name"]))
        yield from self._model.until(key, lambda: self._has_repository(chart))

    def _store_artifact(self, kind: Kind, item: Json) -> None:
        revision = self._revision(kind, item)
        reason, message = "Succeeded", f"stored artifact for revision '{revision}'"
        if kind == HELM_CHART:
            chart = item["spec"]["chart"]
            reason, message = "ChartPullSucceeded", f"pulled '{chart}' chart with version '{revision}'"
        elif kind == OCI_REPOSITORY:
            message = f"stored artifact for digest '{revision}'"
        status = Status(item).settled().drop("FetchFailed")
        status.mark("Ready", "True", reason, message).mark("ArtifactInStorage", "True", reason, message)
        metadata = item["metadata"]
        where = f"{kind.kind.lower()}/{metadata['namespace']}/{metadata['name']}/artifact.tar.gz"
        status.fields["artifact"] = {
            "digest": f"sha256:{hashlib.sha256(revision.encode()).hexdigest()}",
            "lastUpdateTime": timestamp(),
            "path": where,
            "revision": revision,
            "size": 4096,
            "url": f"http://source-controller.flux-system.svc.cluster.local./{where}",
        }
        if kind == HELM_CHART:
            status.fields["observedChartName"] = item["spec"]["chart"]
            status.fields["observedSourceArtifactRevision"] = artifact_revision(self._repository(item))
        self._write(kind, item, status)
        self._model.event(item, "NewArtifact", message, source=CONTROLLER)
        self._model.logs.write(CONTROLLER, message, controller=kind.kind.lower(), name=metadata["name"])

    def _revision(self, kind: Kind, item: Json) -> str:
        spec = item["spec"]
        if kind == HELM_CHART:
            return str(spec.get("version", "*"))
        if kind == OCI_REPOSITORY:
            reference = spec.get("ref") or {}
            digest = hashlib.sha256(f"{spec['url']}{reference}".encode()).hexdigest()
            return f"{reference.get('tag', 'latest')}@sha256:{digest}"
        if kind == HELM_REPOSITORY:
            return f"sha256:{hashlib.sha256(spec['url'].encode()).hexdigest()}"
        reference = spec.get("ref") or {}
        commit = reference.get("commit") or self._model.kit.commit
        named = reference.get("branch") or reference.get("tag") or ""
        if not named and not reference:
            named = "master"
        return f"{named}@sha1:{commit}" if named else f"sha1:{commit}"

    def _write(self, kind: Kind, item: Json, status: Status) -> None:
        metadata = item["metadata"]
        handled = (metadata.get("annotations") or {}).get(REQUESTED_AT)
        if handled:
            status.fields["lastHandledReconcileAt"] = handled
        self._model.store.set_status(kind, metadata["namespace"], metadata["name"], status.build())


def artifact_revision(source: Json | None) -> str:
    """The revision of the artifact that a source has; empty without one."""
    found = ((source or {}).get("status") or {}).get("artifact") or {}
    return str(found.get("revision", ""))
