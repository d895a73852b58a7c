"""`setup`: the checkout's `.venv` with every member installed for editing, and the tools that tests need.

uv comes from PyPI by pip, pinned like everything else in `constraints.txt`, and installs the rest; its pip
interface writes no lock file. A stamp of all that decides the content makes a repeat free.
"""

import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .places import Cache, write_whole
from .progress import Progress
from .running import QUICK_S, ProgramFailedError, run

WITHIN_S: Final = 900.0


class NotSetUpError(Exception):
    """The virtual environment cannot be made; the message is one line and says what to install."""


class VirtualEnvironment:
    """The checkout's `.venv`."""

    def __init__(self, checkout: Path, cache: Cache, environment: Mapping[str, str], progress: Progress) -> None:
        self.checkout = checkout
        self.folder = checkout / ".venv"
        self.python = self.folder / "bin" / "python"
        self._cache = cache
        self._environment = {**environment, "VIRTUAL_ENV": str(self.folder)}
        self._environment.pop("PYTHONHOME", None)
        self._progress = progress
        self._stamp = self.folder / "catalyst-setup"

    def set_up(self) -> bool:
        """Bring the virtual environment up to date; tell whether anything was to do."""
        if self.up_to_date():
            return False
        with self._cache.lock(_lock_name(self.checkout), self._progress.say):
            if self.up_to_date():
                return False
            try:
                self._install(self._uv())
            except ProgramFailedError as why:
                raise NotSetUpError(f".venv cannot be filled: connect to the network once and repeat; {why}") from why
            write_whole(self._stamp, fingerprint(self.checkout))
        return True

    def uv(self) -> Path:
        """The installer, made first where it is not there yet."""
        with self._cache.lock(_lock_name(self.checkout), self._progress.say):
            return self._uv()

    def up_to_date(self) -> bool:
        """Tell whether `.venv` holds what the checkout asks for now."""
        try:
            return self.python.exists() and self._stamp.read_text(encoding="utf-8") == fingerprint(self.checkout)
        except FileNotFoundError:
            return False

    def _runs(self) -> bool:
        """A folder whose Python was removed or moved away is as good as none."""
        try:
            asked = "import sys; print(sys.version_info >= (3, 11))"
            answer = run([self.python, "-c", asked], environment=self._environment, within_s=QUICK_S)
        except ProgramFailedError:
            return False
        return answer == ["True"]

    def _make(self) -> None:
        words: list[str | Path] = [sys.executable, "-m", "venv"]
        if self.folder.exists():
            words.append("--clear")
        if not _has("ensurepip"):
            words.append("--without-pip")
        if not _has("venv") or ("--without-pip" in words and not (shutil.which("uv") or _has("pip"))):
            major, minor = sys.version_info[:2]
            raise NotSetUpError(
                f"{sys.executable} cannot make a virtual environment with pip: install the missing part "
                f"(Debian, Ubuntu: apt-get install python{major}.{minor}-venv)"
            )
        with self._progress.step("virtual environment .venv"):
            run([*words, self.folder], environment=self._environment, within_s=WITHIN_S)

    def _uv(self) -> Path:
        if not self._runs():
            self._make()
        uv = self.folder / "bin" / "uv"
        wanted = pinned(self.checkout, "uv")
        if uv.exists() and _says(uv, wanted, self._environment):
            return uv
        with self._progress.step(f"uv {wanted}"):
            run([*self._installer(), f"uv=={wanted}"], environment=self._environment, within_s=WITHIN_S)
        return uv

    def _installer(self) -> list[str | Path]:
        """The way to the first package: the environment's pip, or one that this machine has elsewhere."""
        if (self.folder / "bin" / "pip").exists():
            return [self.python, "-m", "pip", "install", "--quiet"]
        if found := shutil.which("uv"):
            return [found, "pip", "install", "--quiet", "--python", self.python]
        return [sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet"]

    def _install(self, uv: Path) -> None:
        parts = members(self.checkout)
        editable = [word for part in parts for word in ("-e", f"./{part.relative_to(self.checkout)}")]
        wheels = self._cache.root / "uv" / "archive-v0"
        total = len(_pins(self.checkout))
        with self._progress.step(f"Python packages ({len(parts)} of ours, {total} pinned)") as step:
            step.measure(lambda: _unpacked(wheels, total))
            run(
                [uv, "pip", "install", "-c", "constraints.txt", *editable, "--group", "dev"],
                environment=self._environment,
                within_s=WITHIN_S,
                folder=self.checkout,
            )


def members(checkout: Path) -> list[Path]:
    """The workspace's members: folders that the root lists and that hold a project."""
    root = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = root["tool"]["uv"]["workspace"]["members"]
    found = {path.parent for pattern in patterns for path in checkout.glob(f"{pattern}/pyproject.toml")}
    return sorted(found)


def fingerprint(checkout: Path) -> str:
    """A digest of all that decides what `.venv` holds."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {checkout}".encode())
    for path in [checkout / "constraints.txt", checkout / "pyproject.toml", *members(checkout)]:
        file = path if path.is_file() else path / "pyproject.toml"
        digest.update(f"\0{file.relative_to(checkout)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def pinned(checkout: Path, name: str) -> str:
    """The version of one package in `constraints.txt`."""
    for line in _pins(checkout):
        package, _, version = line.partition("==")
        if package == name:
            return version
    raise NotSetUpError(f"constraints.txt pins no {name}: add a line {name}==<version>")


def _pins(checkout: Path) -> list[str]:
    text = (checkout / "constraints.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0].partition(";")[0].strip() for line in text.splitlines())
    return [line for line in lines if "==" in line]


def _unpacked(wheels: Path, total: int) -> str:
    count = sum(1 for _ in wheels.iterdir()) if wheels.is_dir() else 0
    return f"{min(count, total)} fetched"


def _has(module: str) -> bool:
    words = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(words, check=False, capture_output=True, timeout=QUICK_S).returncode == 0


def _says(uv: Path, wanted: str, environment: Mapping[str, str]) -> bool:
    try:
        answer = run([uv, "--version"], environment=environment, within_s=QUICK_S)
    except ProgramFailedError:
        return False
    return any(wanted in line.split() for line in answer)


def _lock_name(checkout: Path) -> str:
    return f"venv-{hashlib.sha256(str(checkout).encode()).hexdigest()[:12]}"
