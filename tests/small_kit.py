"""A kit of a few components in the shape of the real one, whose parts go wrong in a given way each.

Written to a folder, so that a real cluster gets it from Git and a light one reads it from disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

IN_PLACE: Mapping[str, Any] = {"strategy": {"name": "RetryOnFailure", "retryInterval": "2s"}}
"""Tried again in place, as the kit does it where data lies."""


def remediated(retries: int) -> dict[str, Any]:
    """Uninstalled after a failure and tried again so often."""
    return {"remediation": {"retries": retries}}


@dataclass(frozen=True)
class Part:
    """One component."""

    name: str
    depends_on: Sequence[str] = ()
    install: Mapping[str, Any] = field(default_factory=dict)
    timeout: str = "30s"
    volume: str = ""
    version: str = "1.0.0"
    tier: str = "mandatory"
    upgrade: Mapping[str, Any] | None = None
    """None: as the install."""

    @property
    def chart(self) -> str:
        """Name of its chart, of what that installs, and of its repository below the address of charts."""
        return self.name.removeprefix("bp-")

    @property
    def workload(self) -> dict[str, Any]:
        kind = {"kind": "StatefulSet", "volume": self.volume} if self.volume else {"kind": "Deployment"}
        return {**kind, "name": self.chart, "replicas": 1}

    def entry(self) -> dict[str, Any]:
        """Its row in the catalogue."""
        return {
            "name": self.name,
            "tier": self.tier,
            "dependsOn": list(self.depends_on),
            "chart": {"kind": "HelmRepository", "name": self.chart, "version": self.version},
            "namespace": "small",
            "workloads": [self.workload],
        }

    def installs(self, **labels: str) -> list[dict[str, Any]]:
        """What its chart installs."""
        pod = {"containers": [{"name": self.chart, "image": f"simulated/{self.chart}:{self.version}"}]}
        selector = {"app": self.chart}
        spec: dict[str, Any] = {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": selector}, "spec": pod},
        }
        if self.volume:
            claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": self.volume}}}
            spec["serviceName"] = self.chart
            spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
        metadata = {"name": self.chart, "labels": labels}
        return [{"apiVersion": "apps/v1", "kind": self.workload["kind"], "metadata": metadata, "spec": spec}]

    def manifests(self, charts: str) -> list[dict[str, Any]]:
        """Its source and its release."""
        spec: dict[str, Any] = {
            "interval": "1m",
            "timeout": self.timeout,
            "releaseName": self.chart,
            "targetNamespace": "small",
            "storageNamespace": "small",
            "chart": {
                "spec": {
                    "chart": self.chart,
                    "version": self.version,
                    "interval": "1m",
                    "sourceRef": {"kind": "HelmRepository", "name": self.name},
                }
            },
            "install": {"createNamespace": True, **self.install},
            "upgrade": dict(self.install if self.upgrade is None else self.upgrade),
        }
        if self.depends_on:
            spec["dependsOn"] = [{"name": name} for name in self.depends_on]
        source = {"interval": "1m", "timeout": "5s", "url": f"{charts}/{self.chart}"}
        return [
            _object("source.toolkit.fluxcd.io/v1", "HelmRepository", self.name, source),
            _object("helm.toolkit.fluxcd.io/v2", "HelmRelease", self.name, spec),
        ]

    def kustomization(self) -> dict[str, Any]:
        """What applies it, and is ready when its release is."""
        spec: dict[str, Any] = {
            "interval": "1m",
            "retryInterval": "2s",
            "timeout": "1m",
            "prune": True,
            "path": f"./deploy/kit/components/{self.name}",
            "sourceRef": {"kind": "GitRepository", "name": "catalyst-kit"},
            "healthChecks": [
                {
                    "apiVersion": "helm.toolkit.fluxcd.io/v2",
                    "kind": "HelmRelease",
                    "name": self.name,
                    "namespace": "flux-system",
                }
            ],
        }
        if self.depends_on:
            spec["dependsOn"] = [{"name": name} for name in self.depends_on]
        return _object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", self.name, spec)


def write_kit(root: Path, parts: Sequence[Part], charts: str = "https://charts.example.test") -> Path:
    """Lay the kit of these parts below a folder; where it is. Each has a repository below the address of charts."""
    folder = root / "deploy" / "kit"
    _write(folder / "catalogue.yaml", {"version": "0.0.1", "components": [part.entry() for part in parts]})
    _write(folder / "kustomization.yaml", _list([f"kustomizations/{part.name}.yaml" for part in parts]))
    for part in parts:
        _write(folder / "kustomizations" / f"{part.name}.yaml", part.kustomization())
        names = ("source.yaml", "release.yaml")
        _write(folder / "components" / part.name / "kustomization.yaml", _list(names))
        for name, document in zip(names, part.manifests(charts), strict=True):
            _write(folder / "components" / part.name / name, document)
    return folder


def _object(api_version: str, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "flux-system"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _list(resources: Sequence[str]) -> dict[str, Any]:
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(resources)}


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
