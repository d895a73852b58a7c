"""Published documents that tests hold answers against: packages of npm, by version and integrity.

npm only carries the archive; whether it is the right one is decided here, by the integrity in the manifest. A package
that needs others is installed by `npm ci`, which holds each of them against the integrity in our lock file.
"""

import base64
import hashlib
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from .manifest import Document
from .places import BOX, Cache, whole
from .progress import Progress
from .running import ProgramFailedError, run

WITHIN_S: Final = 120.0


class NoDocumentError(Exception):
    """The document cannot be had or is not the one that is pinned."""


def held(document: Document, cache: Cache) -> Path | None:
    """Find a document that was got before."""
    path = cache.document(document.name, document.version) / document.file
    return path if path.is_file() else None


def obtain(
    document: Document, cache: Cache, environment: Mapping[str, str], progress: Progress, npm: Callable[[], Path]
) -> Path:
    """Give a document, from the cache or by npm."""
    if path := held(document, cache):
        return path
    program = npm()
    with cache.lock("documents", progress.say):
        if path := held(document, cache):
            return path
        try:
            with (
                progress.step(f"{document.name} {document.version}: fetching {document.what}"),
                whole(cache.document(document.name, document.version)) as folder,
            ):
                (_install if document.lock else _fetch)(document, program, folder, environment)
        except ProgramFailedError as why:
            raise NoDocumentError(
                f"{document.package} {document.version} cannot be had: connect to the network once; {why}"
            ) from why
        return cache.document(document.name, document.version) / document.file


def _fetch(document: Document, npm: Path, folder: Path, environment: Mapping[str, str]) -> None:
    words: list[str | Path] = [
        npm,
        "pack",
        "--loglevel=error",
        "--ignore-scripts",
        f"{document.package}@{document.version}",
    ]
    run(words, environment=environment, within_s=WITHIN_S, folder=folder)
    archives = list(folder.glob("*.tgz"))
    if len(archives) != 1:
        raise NoDocumentError(f"npm gave {len(archives)} archives for {document.package}")
    unpack(archives[0], document, folder)


def _install(document: Document, npm: Path, folder: Path, environment: Mapping[str, str]) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(BOX / "build" / document.lock / name, folder / name)
    quiet = ["--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund"]
    run([npm, "ci", *quiet], environment=environment, within_s=WITHIN_S, folder=folder)
    if not (folder / document.file).is_file():
        raise NoDocumentError(f"{document.package} {document.version} holds no {document.file}")


def unpack(archive: Path, document: Document, folder: Path) -> None:
    """Unpack an archive whose integrity fits, without its leading folder; refuse any other."""
    content = archive.read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != document.integrity:
        raise NoDocumentError(f"{document.package} has integrity {found}, pinned is {document.integrity}: refused")
    with tarfile.open(archive) as entries:
        for entry in entries:
            inside = PurePosixPath(entry.name.partition("/")[2])
            file = entries.extractfile(entry) if entry.isfile() else None
            # The filters of tarfile are not in every 3.11: plain files below our folder are all that is taken.
            if file and inside.name and ".." not in inside.parts and not inside.is_absolute():
                (folder / inside).parent.mkdir(parents=True, exist_ok=True)
                (folder / inside).write_bytes(file.read())
    archive.unlink()
    if not (folder / document.file).is_file():
        raise NoDocumentError(f"{document.package} {document.version} holds no {document.file}")
