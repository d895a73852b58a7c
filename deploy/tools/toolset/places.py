"""Where things lie: one cache directory, its locks, and folders that appear whole or not at all.

Nothing outside the cache and the checkout is written: children are started with every cache of theirs (Go, npm,
pip, uv, temporary files) redirected below ours. A folder is filled beside its final name and renamed when it is
complete, so an interrupted build leaves only a `.part` folder, which the next holder of the lock sweeps away.
"""

import fcntl
import os
import shutil
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[3]
BOX: Final = CHECKOUT / "deploy" / "tools"
NPM_SETTINGS: Final = Path("/etc/npmrc")
"""The machine's own; an npm out of a package looks for them beside itself only."""
LOOK_AGAIN_S: Final = 0.5
"""How often a waiting process looks whether the lock is free."""


class Cache:
    """The one directory for everything that can be fetched or built again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tools = root / "tools"
        self.documents = root / "documents"
        self.tofu_config = root / "tofu.tfrc"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Cache":
        """Choose the directory: CATALYST_CACHE, else .cache/catalyst-zero in the home directory."""
        chosen = environment.get("CATALYST_CACHE", "")
        return cls(Path(chosen).expanduser().resolve() if chosen else Path.home() / ".cache" / "catalyst-zero")

    def tool(self, name: str, version: str) -> Path:
        """The folder of one tool."""
        return self.tools / f"{name}-{version}"

    def document(self, name: str, version: str) -> Path:
        """The folder of one document."""
        return self.documents / f"{name}-{version}"

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The environment of a child: the caller's, with every cache redirected below ours."""
        temporary = self.root / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        ours = {
            "CGO_ENABLED": "0",
            "GOCACHE": str(self.root / "go" / "build"),
            "GOFLAGS": "-buildvcs=false -modcacherw",
            "GOMODCACHE": str(self.root / "go" / "mod"),
            "GOPATH": str(self.root / "go"),
            "GOTOOLCHAIN": "local",
            "LC_ALL": "C.UTF-8",
            "PIP_CACHE_DIR": str(self.root / "pip"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "TMPDIR": str(temporary),
            "UV_CACHE_DIR": str(self.root / "uv"),
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "npm_config_cache": str(self.root / "npm"),
            "npm_config_update_notifier": "false",
        }
        # Unreachable is known within seconds; whoever has a slow line sets these and keeps them.
        patience = {
            "PIP_DEFAULT_TIMEOUT": "5",
            "PIP_RETRIES": "1",
            "UV_HTTP_CONNECT_TIMEOUT": "5",
            "npm_config_fetch_retries": "1",
            "npm_config_fetch_retry_mintimeout": "500",
            "npm_config_fetch_timeout": "5000",
        }
        return {**patience, **_trust(), **base, **ours}

    def secluded(self, base: Mapping[str, str]) -> dict[str, str]:
        """The environment of a child that keeps notes of its own: below ours instead of in the home directory.

        Go's settings stay the person's own; Go's counters, and what other programs make at their first start, do not
        belong to a set-up.
        """
        settings = Path(base.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        notes = self.root / "notes"
        return {
            **base,
            "GOENV": base.get("GOENV") or str(settings / "go" / "env"),
            "XDG_CACHE_HOME": str(notes / "cache"),
            "XDG_CONFIG_HOME": str(notes / "config"),
            "XDG_DATA_HOME": str(notes / "data"),
            "XDG_STATE_HOME": str(notes / "state"),
        }

    @contextmanager
    def lock(self, name: str, waiting: Callable[[str], None]) -> Iterator[None]:
        """Hold the named lock: builds of two processes never run on top of each other.

        The kernel frees the lock when its holder dies, so a killed build blocks nobody.
        """
        path = self.root / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="ascii") as file:
            told = False
            while not _locked(file.fileno()):
                if not told:
                    file.seek(0)
                    waiting(f"waiting for process {file.read().strip() or '?'}, which holds {path}")
                    told = True
                threading.Event().wait(LOOK_AGAIN_S)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def sweep(self) -> None:
        """Remove what interrupted builds left; only the holder of the lock may call this."""
        for parent in (self.tools, self.documents):
            for left in parent.glob(".*.part"):
                shutil.rmtree(left, ignore_errors=True)


def _trust() -> dict[str, str]:
    """Let uv and npm trust what this machine trusts, as pip, apt and Go do; else a company's own CA stops them."""
    store = ssl.get_default_verify_paths()
    if not store.cafile and not (store.capath and any(Path(store.capath).iterdir())):
        return {}
    machines_npm = {"npm_config_globalconfig": str(NPM_SETTINGS)} if NPM_SETTINGS.is_file() else {}
    return {"NODE_USE_SYSTEM_CA": "1", "UV_SYSTEM_CERTS": "true", **machines_npm}


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Give a folder to fill; it takes the target's name when the block ends well, and vanishes otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    part.chmod(0o755)
    try:
        yield part
        if target.exists():
            # A running program keeps its open files; whoever looks next sees the new folder.
            target.rename(part.with_name(f"{part.name}-old.part"))
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(part.with_name(f"{part.name}-old.part"), ignore_errors=True)


def write_whole(target: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as file:
        file.write(text)
    part = Path(file.name)
    part.chmod(0o644)
    part.replace(target)
