"""What Helm remembers of a release, as a HelmRelease's status tells it: pure functions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from sandbox.cluster.objects import HELM_CHART, Json, timestamp
from sandbox.cluster.sources import artifact_revision

_KEPT: Final = 5
UNLIMITED: Final = -1


@dataclass(frozen=True, slots=True)
class Release:
    """One release, as Helm sees it."""

    name: str
    helm_name: str
    namespace: str
    storage: str
    chart: str
    version: str
    app_version: str
    digest: str

    @property
    def title(self) -> str:
        """Namespace and name, as messages have it."""
        return f"{self.namespace}/{self.helm_name}"


def release_of(item: Json, source: Json | None, app_version: str) -> Release:
    """The release that a HelmRelease wants from a source that is ready."""
    metadata, spec = item["metadata"], item["spec"]
    namespace = spec.get("targetNamespace", metadata["namespace"])
    composed = f"{namespace}-{metadata['name']}" if "targetNamespace" in spec else metadata["name"]
    revision = artifact_revision(source)
    if source is not None and source["kind"] == HELM_CHART.kind:
        chart, version = source["spec"]["chart"], revision
    else:
        # helm-controller tells two digests of one tag apart by build metadata.
        tag, _, digest = revision.partition("@sha256:")
        chart = ((source or {}).get("spec") or {}).get("url", "").rsplit("/", 1)[-1]
        version = f"{tag}+{digest[:12]}" if digest else tag
    return Release(
        name=metadata["name"],
        helm_name=spec.get("releaseName", composed),
        namespace=namespace,
        storage=spec.get("storageNamespace", metadata["namespace"]),
        chart=chart,
        version=version,
        app_version=app_version,
        digest=config_digest(spec.get("values")),
    )


def config_digest(values: Any) -> str:
    """Digest of a release's values."""
    text = json.dumps(values or {}, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def recorded(history: list[Json], release: Release, status: str, action: str) -> list[Json]:
    """The history with one more entry at its head; what was deployed before is superseded by a success."""
    now = timestamp()
    first = history[-1]["firstDeployed"] if history else now
    number = history[0]["version"] + 1 if history else 1
    entry: Json = {
        "action": action,
        "appVersion": release.app_version,
        "chartName": release.chart,
        "chartVersion": release.version,
        "configDigest": release.digest,
        "digest": config_digest([release.title, release.version, number]),
        "firstDeployed": first,
        "lastDeployed": now,
        "name": release.helm_name,
        "namespace": release.namespace,
        "status": status,
        "version": number,
    }
    older = [
        {**each, "status": "superseded"} if status == "deployed" and each["status"] == "deployed" else each
        for each in history
    ]
    return [entry, *older][:_KEPT]


def retries(item: Json, action: str) -> int:
    """How often an action is tried again after a failure; negative for ever."""
    spec = item["spec"].get(action) or {}
    if (spec.get("strategy") or {}).get("name") == "RetryOnFailure":
        return UNLIMITED
    return int((spec.get("remediation") or {}).get("retries", 0))
