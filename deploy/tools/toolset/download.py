"""The official download: given up within five seconds when unreachable, never used unless its checksum fits.

The transfer runs in a thread of its own, because looking up a name may hang longer than any socket's time limit.
The caller watches whether bytes arrive and leaves when they do not.
"""

import hashlib
import tarfile
import threading
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import Final

from .progress import Step

PATIENCE_S: Final = 5.0
"""How long a host may stay silent before the next source is asked."""
WINDOW_BYTES: Final = 32 * 1024
"""What must arrive in that time once it speaks: below, building is the quicker way."""
LOOK_S: Final = 0.1
CHUNK: Final = 64 * 1024
CHECKSUMS_MOST: Final = 1024 * 1024


class NotDownloadedError(Exception):
    """The download cannot be had or cannot be trusted; the message says which."""


class Transfer(threading.Thread):
    """One download into a file, in its own thread."""

    def __init__(self, address: str, target: Path) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.target = target
        self.arrived = 0
        self.total: int | None = None
        self.failure: str | None = None
        self.abandoned = threading.Event()

    def run(self) -> None:
        """Fetch until the end, a failure, or until nobody waits any more."""
        try:
            request = urllib.request.Request(self.address, headers={"User-Agent": "catalyst-zero-tools"})
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer, self.target.open("wb") as file:
                length = answer.headers.get("Content-Length")
                self.total = int(length) if length else None
                while not self.abandoned.is_set() and (chunk := answer.read1(CHUNK)):
                    file.write(chunk)
                    self.arrived += len(chunk)
            if self.total is not None and self.arrived != self.total and not self.abandoned.is_set():
                self.failure = f"broke off after {self.arrived} of {self.total} bytes"
        except urllib.error.HTTPError as why:
            self.failure = f"answered {why.code}"
        except (OSError, ValueError) as why:
            reason = why.reason if isinstance(why, urllib.error.URLError) else why
            self.failure = f"is not reachable: {reason}"


class Downloader:
    """Downloads of one command; a host that stayed silent once is not waited for again."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._silent: set[str] = set()

    def fetch(self, address: str, target: Path, step: Step) -> None:
        """Download one file whole, or raise."""
        host = urllib.parse.urlsplit(address).netloc
        if host in self._silent:
            raise NotDownloadedError(f"{host} did not answer before")
        transfer = Transfer(address, target)
        transfer.start()
        try:
            self._watch(transfer, host, step)
        finally:
            transfer.abandoned.set()
        if transfer.failure:
            if transfer.arrived == 0 and not transfer.failure.startswith("answered"):
                self._silent.add(host)
            raise NotDownloadedError(f"{host} {transfer.failure}")

    def _watch(self, transfer: Transfer, host: str, step: Step) -> None:
        seen, left = 0, self._patience_s
        while transfer.is_alive():
            transfer.join(LOOK_S)
            left -= LOOK_S
            if transfer.arrived >= seen + WINDOW_BYTES:
                seen, left = transfer.arrived, self._patience_s
                step.at(_share(transfer.arrived, transfer.total))
            if left <= 0 and transfer.is_alive():
                self._silent.add(host)
                pace = "no answer" if not transfer.arrived else f"only {transfer.arrived - seen} bytes"
                raise NotDownloadedError(f"{host}: {pace} within {self._patience_s:.0f} s")

    def fetch_checked(self, address: str, checksums: str, target: Path, step: Step) -> None:
        """Download a file and hold it against the checksum that its project publishes."""
        listing = target.with_name("checksums")
        self.fetch(checksums, listing, step)
        if listing.stat().st_size > CHECKSUMS_MOST:
            raise NotDownloadedError("the list of checksums is too long to be one")
        name = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rpartition("/")[2])
        wanted = checksum_of(name, listing.read_text(encoding="utf-8", errors="replace"))
        listing.unlink()
        self.fetch(address, target, step)
        with target.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            target.unlink()
            raise NotDownloadedError(f"{name} has checksum {found}, published is {wanted}: refused")


def checksum_of(name: str, listing: str) -> str:
    """Find a file's SHA-256 in a published list."""
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name and len(words[0]) == hashlib.sha256().digest_size * 2:  # noqa: PLR2004 - checksum and name
            return words[0].lower()
    raise NotDownloadedError(f"no checksum is published for {name}: refused")


def take_member(archive: Path, member: str, target: Path) -> None:
    """Write one member of an archive as an executable file; its folder in the archive does not matter."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        content = _from_zip(archive, member) if zipfile.is_zipfile(archive) else _from_tar(archive, member)
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as why:
        raise NotDownloadedError(f"{archive.name} cannot be unpacked: {why}") from why
    target.write_bytes(content)
    target.chmod(0o755)


def _from_zip(archive: Path, member: str) -> bytes:
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            if name.rpartition("/")[2] == member:
                return content.read(name)
    raise NotDownloadedError(f"{archive.name} holds no {member}")


def _from_tar(archive: Path, member: str) -> bytes:
    with tarfile.open(archive) as content:
        for entry in content:
            file = content.extractfile(entry) if entry.name.rpartition("/")[2] == member else None
            if file:
                return file.read()
    raise NotDownloadedError(f"{archive.name} holds no {member}")


def _share(arrived: int, total: int | None) -> str:
    mebibyte = 1024 * 1024
    return f"{arrived / mebibyte:.1f} of {total / mebibyte:.1f} MiB" if total else f"{arrived / mebibyte:.1f} MiB"
