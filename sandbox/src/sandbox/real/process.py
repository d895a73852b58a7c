"""One program of a cluster as a child process: started, brought back when it dies, stopped by its id.

The kernel tells of its end through a descriptor, so nothing polls; and ends it when we are gone, however that came.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

BACK_AFTER_S: Final = 1.0
"""How soon a program that died by itself is started again, as a kubelet would."""
_TAIL: Final = 2000


class Process:
    """A program that is to run until it is stopped."""

    def __init__(
        self,
        name: str,
        words: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        log: Path,
        patience_s: float = 1.5,
    ) -> None:
        self.name = name
        self.log = log
        self._words = [*_with_us(), *map(str, words)]
        self._environment = dict(environment)
        self._patience_s = patience_s
        """kube-apiserver ignores SIGTERM while watches are open; who has not ended by then is killed."""
        self._child: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._ended = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process that runs; None when none does."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Run it from now on; harmless when it runs."""
        self._wanted = True
        if self._child is not None:
            return
        self._again = None
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - a pinned program of the tool box
                self._words, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._ended.clear()
        descriptor = os.pidfd_open(self._child.pid)
        asyncio.get_running_loop().add_reader(descriptor, self._over, descriptor)

    def kill(self) -> None:
        """End it at once, as a crash would: it comes back by itself."""
        if self._child is not None:
            self._child.kill()

    async def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        self._wanted = False
        if self._again:
            self._again.cancel()
            self._again = None
        if self._child is None:
            return
        self._child.terminate()
        try:
            async with asyncio.timeout(self._patience_s):
                await self._ended.wait()
        except TimeoutError:
            self.kill()
            await self._ended.wait()

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        return self.log.read_text(errors="replace")[-_TAIL:] if self.log.exists() else ""

    def _over(self, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(descriptor)
        os.close(descriptor)
        code = self._child.wait() if self._child else None
        self._child = None
        self._ended.set()
        if self._wanted:
            logger.warning("a program of the cluster ended", extra={"program": self.name, "code": code})
            self._again = loop.call_later(BACK_AFTER_S, self.start)


def _with_us() -> list[str]:
    """Where the kernel can be asked so: the program does not outlive us."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
