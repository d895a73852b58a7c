"""The kit as it lies on disk: the manifests behind each Kustomization path, and the catalogue that names the workloads.

Read once per process and shared by every cluster. Manifests without a substitution are parsed once and
shared as they are; those with one are parsed again per cluster, since Flux substitutes in the text before
it parses it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from sandbox.cluster.objects import Json

KIT_PATH: Final = "deploy/kit"
_VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::[-=](?P<default>[^}]*))?\}")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PathMissing(Exception):
    """The source has no such path."""


class Workload(BaseModel):
    """One workload that a release runs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    name: str
    replicas: int = 1
    volume: str = ""
    plain: bool = Field(default=False, description="A manifest of the kit itself, not of the chart.")


class Chart(BaseModel):
    """Where a component's chart comes from."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    name: str
    version: str
    app_version: str = Field(default="", alias="appVersion")


class Component(BaseModel):
    """What the sandbox needs of a catalogue entry."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    namespace: str
    chart: Chart
    workloads: tuple[Workload, ...] = ()


class Kit:
    """The manifests of a checkout whose kit lies in `<root>/deploy/kit`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._root = self.directory.parents[len(Path(KIT_PATH).parts) - 1]
        self._texts: dict[str, tuple[str, ...]] = {}
        self._parsed: dict[str, tuple[Json, ...]] = {}

    @cached_property
    def components(self) -> Mapping[str, Component]:
        """The catalogue's entries by name; a kit without a catalogue has none."""
        path = self.directory / "catalogue.yaml"
        if not path.exists():
            return {}
        listed = yaml.load(path.read_text(), Loader=_LOADER)["components"]  # noqa: S506 - a safe loader
        return {entry["name"]: Component.model_validate(entry) for entry in listed}

    @cached_property
    def commit(self) -> str:
        """Stands in for the commit of the kit's repository: a digest of what it says."""
        digest = hashlib.sha1(usedforsecurity=False)
        for path in sorted(self.directory.rglob("*.yaml")):
            digest.update(path.relative_to(self.directory).as_posix().encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def manifests(self, path: str, substitute: Mapping[str, str] | None) -> list[Json]:
        """The objects behind a Kustomization's path, with the cluster's own values put in."""
        built: list[Json] = []
        for text in self._at(path):
            if substitute is None or not _VARIABLE.search(text):
                built.extend(self._parse(text))
            else:
                built.extend(_documents(_substituted(text, substitute)))
        return built

    def _parse(self, text: str) -> tuple[Json, ...]:
        if text not in self._parsed:
            self._parsed[text] = tuple(_documents(text))
        return self._parsed[text]

    def _at(self, path: str) -> tuple[str, ...]:
        if path not in self._texts:
            folder = (self._root / path).resolve()
            if not folder.is_relative_to(self._root) or not folder.is_dir():
                raise PathMissing(f"kustomization path not found: stat {path}: no such file or directory")
            self._texts[path] = tuple(_texts(folder))
        return self._texts[path]


def _texts(folder: Path) -> list[str]:
    """The resource files that a folder's kustomization.yaml names, folders among them followed."""
    listed = folder / "kustomization.yaml"
    if not listed.exists():
        return [path.read_text() for path in sorted(folder.rglob("*.yaml"))]
    texts: list[str] = []
    for name in yaml.load(listed.read_text(), Loader=_LOADER).get("resources", ()):  # noqa: S506 - a safe loader
        path = folder / name
        texts.extend(_texts(path) if path.is_dir() else [path.read_text()])
    return texts


def _documents(text: str) -> list[Json]:
    found = yaml.load_all(text, Loader=_LOADER)
    return [document for document in found if document]


def _substituted(text: str, values: Mapping[str, str]) -> str:
    """`${NAME}` and `${NAME:=default}`, as Flux's post-build step does; an unknown name becomes empty."""

    def value(match: re.Match[str]) -> str:
        return values.get(match["name"]) or match["default"] or ""

    return _VARIABLE.sub(value, text)
