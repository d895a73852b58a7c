"""Programs from the distribution's packages, without root: the signed index, download, unpack.

apt is given folders of ours for its lists and archives. It is asked what an installation would add, which is the
program with every library that this machine lacks, and exactly that is unpacked. What the dynamic linker still
misses afterwards is named.
"""

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from .manifest import Debian, Tool
from .places import Cache, write_whole
from .progress import Progress
from .running import QUICK_S, ProgramFailedError, run

LISTS_AGE_S: Final = 24 * 3600.0
WITHIN_S: Final = 300.0
PROGRAMS: Final = ("apt-get", "dpkg-deb")
NEVER_OURS: Final = ("libc6", "libc-bin", "python3", "python3-minimal", "libpython3-stdlib")
"""Belong to the running system: an unpacked second C library or interpreter would not fit it."""


class NotUnpackedError(Exception):
    """The packages cannot be had here; the message says why."""


class Apt:
    """apt with folders of ours."""

    def __init__(self, cache: Cache, environment: Mapping[str, str], progress: Progress) -> None:
        self._folder = cache.root / "apt"
        self._environment = environment
        self._progress = progress

    def unpack(self, tool: Tool, recipe: Debian, folder: Path) -> None:
        """Fill a folder with the packages of a tool and start what needs it through a launcher."""
        if missing := [name for name in PROGRAMS if not shutil.which(name)]:
            raise NotUnpackedError(f"this system has no {missing[0]}: install {tool.program} {tool.wanted} on PATH")
        try:
            self._refresh()
            with self._progress.step(f"{tool.name}: unpacking Debian packages") as step:
                names = self._additions(recipe.packages)
                archives = self._download(names)
                for count, archive in enumerate(archives, 1):
                    step.at(f"{count} of {len(archives)} packages")
                    run(["dpkg-deb", "-x", archive, folder], environment=self._environment, within_s=WITHIN_S)
        except ProgramFailedError as why:
            # The index may name a version that was replaced meanwhile: the next try reads it afresh.
            (self._folder / "refreshed").unlink(missing_ok=True)
            raise NotUnpackedError(str(why)) from why
        if recipe.program:
            _launcher(folder / tool.inside, recipe, folder)
        else:
            lacking = missing_libraries([folder / tool.inside], folder, self._environment)
            if lacking:
                raise NotUnpackedError(f"{tool.program} lacks {', '.join(lacking)}")

    def _options(self) -> list[str]:
        lists, archives = self._folder / "lists", self._folder / "archives"
        for parent in (lists, archives):
            (parent / "partial").mkdir(parents=True, exist_ok=True)
        settings = {
            "Dir::State::lists": lists,
            "Dir::Cache": self._folder,
            "Dir::Cache::archives": archives,
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "",
            "Acquire::http::Timeout": "5",
            "Acquire::https::Timeout": "5",
            "Acquire::Retries": "1",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::Languages": "none",
        }
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def _refresh(self) -> None:
        stamp = self._folder / "refreshed"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < LISTS_AGE_S:
            return
        with self._progress.step("Debian packages: reading the index"):
            run(
                ["apt-get", *self._options(), "-q", "update"],
                environment=self._environment,
                within_s=WITHIN_S,
            )
        if not any((self._folder / "lists").glob("*Packages*")):
            raise NotUnpackedError("the distribution's package index is not reachable")
        write_whole(stamp, "")

    def _additions(self, packages: Sequence[str]) -> list[str]:
        words = ["apt-get", *self._options(), "-s", "-q", "install", "--no-install-recommends", *packages]
        lines = run(words, environment=self._environment, within_s=WITHIN_S)
        return additions(lines, packages)

    def _download(self, names: Sequence[str]) -> list[Path]:
        folder = self._folder / "archives"
        for old in folder.glob("*.deb"):
            old.unlink()
        run(
            ["apt-get", *self._options(), "-q", "download", *names],
            environment=self._environment,
            within_s=WITHIN_S,
            folder=folder,
        )
        return sorted(folder.glob("*.deb"))


def additions(simulated: Sequence[str], packages: Sequence[str]) -> list[str]:
    """Read what an installation would add; the packages themselves are always among it."""
    added = [line.split()[1] for line in simulated if line.startswith("Inst ")]
    return list(dict.fromkeys([*packages, *(name for name in added if name not in NEVER_OURS)]))


def library_folders(root: Path) -> list[Path]:
    """The folders of an unpacked tree that hold shared libraries; libpulse has a folder of its own."""
    patterns = ("usr/lib", "usr/lib/*-linux-gnu*", "usr/lib/*-linux-gnu*/pulseaudio", "lib", "lib/*-linux-gnu*")
    return [folder for pattern in patterns for folder in sorted(root.glob(pattern)) if any(folder.glob("*.so*"))]


def missing_libraries(programs: Sequence[Path], root: Path, environment: Mapping[str, str]) -> list[str]:
    """Name the libraries that the dynamic linker does not find."""
    path = ":".join(str(folder) for folder in library_folders(root))
    lines = run(["ldd", *programs], environment={**environment, "LD_LIBRARY_PATH": path}, within_s=QUICK_S)
    return sorted({match.group(1) for line in lines if (match := re.match(r"\s*(\S+) => not found", line))})


def _launcher(target: Path, recipe: Debian, root: Path) -> None:
    """Write a script that starts the program with the libraries beside it, wherever the folder lies."""
    if recipe.python:
        lines = [
            'PYTHONPATH="$here/usr/lib/python3/dist-packages"',
            "PYTHONDONTWRITEBYTECODE=1",
            "export PYTHONPATH PYTHONDONTWRITEBYTECODE",
            f'exec /usr/bin/python3 "$here/{recipe.program}" "$@"',
        ]
    else:
        folders = ":".join(f"$here/{folder.relative_to(root)}" for folder in library_folders(root))
        lines = [f'LD_LIBRARY_PATH="{folders}"', "export LD_LIBRARY_PATH", f'exec "$here/{recipe.program}" "$@"']
    write_launcher(target, lines)


def write_launcher(target: Path, lines: Sequence[str]) -> None:
    """Write an executable shell script; `$here` is the folder that it lies in."""
    head = ["#!/bin/sh", 'here=$(dirname "$(readlink -f "$0")")']
    target.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")
    target.chmod(0o755)
