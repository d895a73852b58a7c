"""The programs of a real cluster: where they lie, and the manifests that came with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONTROLLERS: Final = ("source-controller", "kustomize-controller", "helm-controller")
"""Flux's own programs."""
NAMES: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", *CONTROLLERS)
DEFINITIONS: Final = ("cert-manager", "cilium", "source-controller", "kustomize-controller", "helm-controller")
_STAGES: Final = "kustomize/stage"
_STAGE_FILES: Final = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
    "volume/fast/pvc-provision.yaml",
    "volume/fast/pvc-delete.yaml",
    "volume/fast/pv-bind.yaml",
    "volume/fast/pv-delete.yaml",
)


class ProgramsMissing(Exception):
    """Programs of the cluster are not on this machine; the message says how to get them."""


@dataclass(frozen=True)
class Programs:
    """Paths by name, and the folders of custom resource definitions by whose they are."""

    paths: Mapping[str, Path]
    definitions: Mapping[str, Path]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Programs:
        """What the tool box told (`tools.py env`)."""
        programs = {name: _variable(name) for name in NAMES}
        folders = {name: f"{_variable(name)}_CRDS" for name in DEFINITIONS}
        if missing := [each for each in (*programs.values(), *folders.values()) if not environment.get(each)]:
            raise ProgramsMissing(
                f"{', '.join(missing)} not set: python3 deploy/tools/tools.py ensure conformance builds them"
            )
        return cls(
            {name: Path(environment[variable]) for name, variable in programs.items()},
            {name: Path(environment[variable]) for name, variable in folders.items()},
        )

    def flux_crds(self) -> list[Path]:
        """The definitions of the kinds that Flux's controllers serve."""
        folders = (folder for name, folder in self.definitions.items() if name.endswith("-controller"))
        return [path for folder in folders for path in sorted(folder.glob("*.yaml"))]

    def stages(self, storage_class: str) -> str:
        """What KWOK plays: nodes and pods at once, volumes of this class."""
        folder = self.paths["kwok"].parent / _STAGES
        texts = [(folder / name).read_text() for name in _STAGE_FILES]
        return "\n---\n".join(texts).replace("kwok-volume", storage_class)


def _variable(name: str) -> str:
    return f"CATALYST_{name.upper().replace('-', '_')}"


def quiet_environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a program: nothing of ours but PATH, its files below a folder of its own."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "TMPDIR": str(home), "LANG": "C", **more}
