"""OpenTofu as a process: the only module that starts it.

A workspace is a private folder (0700) with links to the module's files; it holds nothing secret and is removed
afterwards. Secret variables go through a pipe, the cloud's token is the run's loopback credential, state and plan
are encrypted by OpenTofu with a key that it asks for over loopback. OpenTofu runs in a session of its own: a signal
meant for it reaches it alone, once, and its provider learns of it from OpenTofu itself.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tofu_runner.backend import STATE_PATH, USER
from tofu_runner.lines import Diagnostic, Line, line_of

LINE_LIMIT = 16 * 1024 * 1024
"""A line may carry a whole set of outputs or a long diagnostic."""
PLAN_FILE = "plan.bin"
ERRORED_STATE = "errored.tfstate"
ADOPTIONS = "adoptions.tf"
_NOT_LINKED = frozenset({".terraform", ".terraform.lock.hcl", "tests", "README.md"})
"""The lock file among them: the provider's checksum differs with how it was got (released, or built on this machine).
Its version is pinned by the module and its file by the mirror; from plan to apply the workspace's own lock holds."""
_PIPE_BYTES = 60 * 1024
"""What a pipe takes without a reader."""
_LAST_LINES = 20
_LONGEST_PLACE = 70
"""The provider listens on a socket below the run's folder, and the system takes 107 characters."""

OnLine = Callable[[Line], Awaitable[None]]


class TofuMissing(Exception):
    """OpenTofu cannot be started."""


@dataclass(frozen=True)
class Finished:
    """How one OpenTofu process ended."""

    exit_code: int
    diagnostics: tuple[Diagnostic, ...]
    tail: tuple[str, ...]
    """Last lines of standard error, for a crash."""

    @property
    def ok(self) -> bool:
        """It says that it did what it was asked."""
        return self.exit_code == 0


@dataclass(frozen=True)
class Loopback:
    """Where one run's own servers listen, and what opens them."""

    port: int
    password: str
    credential: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def cloud(self) -> str:
        """What OpenTofu and the SDK take for the cloud's API."""
        return f"{self.origin}/v1"


def _encryption() -> str:
    """OpenTofu's encryption settings: how to get the key, never the key."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("key_provider.py"))]
    # A JSON list of strings is a list in OpenTofu's syntax too.
    return f"""
key_provider "external" "sovereign" {{ command = {json.dumps(command)} }}
method "aes_gcm" "sovereign" {{ keys = key_provider.external.sovereign }}
state {{
  method = method.aes_gcm.sovereign
  enforced = true
}}
plan {{
  method = method.aes_gcm.sovereign
  enforced = true
}}
"""


class Workspace:
    """One run's folder, and OpenTofu started in it."""

    def __init__(self, binary: Path, cli_config: Path, folder: Path, loopback: Loopback) -> None:
        self._binary = binary
        self._cli_config = cli_config
        self.folder = folder
        self._loopback = loopback
        self._process: asyncio.subprocess.Process | None = None
        self._interrupted = False

    def _environment(self) -> dict[str, str]:
        state = f"{self._loopback.origin}{STATE_PATH}"
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder.parent.parent),
            "TF_CLI_CONFIG_FILE": str(self._cli_config),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            "TF_HTTP_ADDRESS": state,
            "TF_HTTP_LOCK_ADDRESS": state,
            "TF_HTTP_UNLOCK_ADDRESS": state,
            # A bus that is away for a minute costs no state: OpenTofu asks its backend again for that long.
            "TF_HTTP_RETRY_MAX": "20",
            "TF_HTTP_RETRY_WAIT_MIN": "1",
            "TF_HTTP_RETRY_WAIT_MAX": "5",
            "TF_HTTP_USERNAME": USER,
            "TF_HTTP_PASSWORD": self._loopback.password,
            "TF_ENCRYPTION": _encryption(),
            "HCLOUD_ENDPOINT": self._loopback.cloud,
            "HCLOUD_TOKEN": self._loopback.credential,
        }

    async def init(self, on_line: OnLine) -> Finished:
        """Make the provider and the backend known."""
        return await self._run(["init", "-json"], on_line)

    async def plan(
        self,
        variables: bytes,
        on_line: OnLine,
        *,
        destroy: bool = False,
        replace: Sequence[str] = (),
        parallelism: int = 10,
    ) -> Finished:
        """Plan into the folder, encrypted."""
        arguments = ["plan", "-json", f"-out={PLAN_FILE}", "-lock-timeout=30s", f"-parallelism={parallelism}"]
        arguments += ["-destroy"] if destroy else []
        arguments += [f"-replace={address}" for address in replace]
        return await self._run(arguments, on_line, variables=variables)

    async def show_plan(self) -> dict[str, Any]:
        """The plan in full, secrets too: for ``plan.plan_of`` alone."""
        process = await self._start(["show", "-json", PLAN_FILE], ())
        out, err = await process.communicate()
        if process.returncode != 0:
            raise TofuMissing(f"tofu show ended with {process.returncode}: {err.decode(errors='replace')[-500:]}")
        shown: dict[str, Any] = json.loads(out)
        return shown

    async def apply_plan(self, on_line: OnLine, *, parallelism: int = 10) -> Finished:
        """Apply the plan in the folder, and that one only."""
        return await self._run(
            ["apply", "-json", "-lock-timeout=30s", f"-parallelism={parallelism}", PLAN_FILE], on_line
        )

    async def untaint(self, address: str, on_line: OnLine) -> Finished:
        """Take back the mark of a resource that an interrupted run left as half-made."""
        return await self._run(["untaint", "-lock-timeout=30s", address], on_line)

    def adopt(self, blocks: str) -> None:
        """Have the next plan import what these blocks name."""
        (self.folder / ADOPTIONS).write_text(blocks)

    def interrupt(self) -> None:
        """Ask OpenTofu to stop gracefully. Once only: a second signal would make it drop its state."""
        if self._process is not None and self._process.returncode is None and not self._interrupted:
            self._interrupted = True
            os.kill(self._process.pid, signal.SIGINT)

    def errored_state(self) -> bytes | None:
        """The state that OpenTofu could not push, if there is one: then it is the only record."""
        path = self.folder / ERRORED_STATE
        return path.read_bytes() if path.exists() else None

    async def _start(self, arguments: Sequence[str], pass_fds: Sequence[int]) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                self._binary,
                *arguments,
                cwd=self.folder,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                limit=LINE_LIMIT,
                pass_fds=tuple(pass_fds),
            )
        except OSError as error:
            raise TofuMissing(f"OpenTofu cannot be started ({self._binary}): {error}") from None

    async def _run(self, arguments: list[str], on_line: OnLine, *, variables: bytes | None = None) -> Finished:
        with _pipe_of(variables) as descriptor:
            if descriptor is not None:
                arguments = [*arguments, f"-var-file=/dev/fd/{descriptor}"]
            self._process = process = await self._start(arguments, [] if descriptor is None else [descriptor])
        try:
            diagnostics, tail = await self._read(process, on_line)
            return Finished(await process.wait(), tuple(diagnostics), tuple(tail))
        except BaseException:
            # The reader was cancelled or failed: OpenTofu still has to end, and to end well, before anybody goes on.
            self.interrupt()
            await asyncio.shield(_drained(process))
            raise
        finally:
            self._process = None

    @staticmethod
    async def _read(process: asyncio.subprocess.Process, on_line: OnLine) -> tuple[list[Diagnostic], list[str]]:
        assert process.stdout is not None  # noqa: S101 - for the type checker: both are pipes
        assert process.stderr is not None  # noqa: S101
        diagnostics: list[Diagnostic] = []

        async def standard_error(stream: asyncio.StreamReader) -> list[str]:
            lines: list[str] = []
            while raw := await stream.readline():
                lines = [*lines, raw.decode(errors="replace").rstrip()][-_LAST_LINES:]
            return lines

        async with asyncio.TaskGroup() as group:
            errors = group.create_task(standard_error(process.stderr))
            # To the end of the stream, not to the end of the process: the last lines tell the outcome.
            while raw := await process.stdout.readline():
                line = line_of(raw)
                if isinstance(line, Diagnostic):
                    diagnostics.append(line)
                if line is not None:
                    await on_line(line)
        return diagnostics, errors.result()


async def _drained(process: asyncio.subprocess.Process) -> None:
    """Wait for the end, with nobody listening: full pipes would keep it from ending."""
    await process.communicate()


class _pipe_of:  # noqa: N801 - used as a function
    """The reading end of a pipe that holds the content; nothing when there is none."""

    def __init__(self, content: bytes | None) -> None:
        if content is not None and len(content) > _PIPE_BYTES:
            raise ValueError(f"{len(content)} bytes of variables; a pipe takes {_PIPE_BYTES}")
        self._content = content
        self._reader: int | None = None

    def __enter__(self) -> int | None:
        if self._content is None:
            return None
        self._reader, writer = os.pipe()
        try:
            os.write(writer, self._content)
        finally:
            os.close(writer)
        return self._reader

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            os.close(self._reader)


class Tofu:
    """The OpenTofu of this installation."""

    def __init__(self, binary: Path, cli_config: Path, module: Path, work_dir: Path | None = None) -> None:
        self._binary = binary.resolve()
        self._cli_config = cli_config.resolve()
        self._module = module.resolve()
        self._work_dir = work_dir

    async def version(self) -> None:
        """Raise TofuMissing unless OpenTofu and the module are there."""
        if not os.access(self._binary, os.X_OK):
            raise TofuMissing(f"no OpenTofu at {self._binary}: set CATALYST_TOFU")
        place = len(str(self._work_dir or tempfile.gettempdir()))
        if place > _LONGEST_PLACE:
            raise TofuMissing(
                f"TOFU_RUNNER_WORK_DIR has {place} characters: the provider's socket allows {_LONGEST_PLACE}"
            )
        if not (self._module / "main.tf").is_file():
            raise TofuMissing(f"no module at {self._module}: set TOFU_RUNNER_MODULE")

    @asynccontextmanager
    async def workspace(self, loopback: Loopback) -> AsyncIterator[Workspace]:
        """A private folder with the module in it; gone afterwards."""
        outer = Path(tempfile.mkdtemp(prefix="tofu-", dir=self._work_dir))
        try:
            folder = outer / "tofu" / "hetzner"
            folder.mkdir(parents=True)
            for entry in self._module.iterdir():
                if entry.name not in _NOT_LINKED:
                    (folder / entry.name).symlink_to(entry)
            # The module reads its version pins from beside the modules' folder.
            for pins in self._module.parent.parent.glob("pins.yaml"):
                (outer / pins.name).symlink_to(pins)
            yield Workspace(self._binary, self._cli_config, folder, loopback)
        finally:
            await asyncio.to_thread(shutil.rmtree, outer, ignore_errors=True)
