"""The Flux controllers' logs, followed to the stream of chatter: bounded, masked, by component.

Lines are collected for a second and passed on together. A controller that writes more than the bound loses the rest,
and the number of lost lines is told; facts are never held up by logs, nor the watch by a log that cannot be read.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from flux_watcher.api import ApiTrouble
from flux_watcher.cluster import Cluster
from flux_watcher.masking import masked
from flux_watcher.objects import FLUX_SYSTEM
from flux_watcher.waiting import still_wanted

log = logging.getLogger(__name__)

SOURCES: Final = ("source-controller", "kustomize-controller", "helm-controller")
PER_SECOND: Final = 200
_REMEMBERED: Final = 500

Publish = Callable[[str, Sequence[str]], Awaitable[None]]
"""Source and lines."""


@dataclass
class Tail:
    """One controller's log."""

    controller: str
    cluster: Cluster
    publish: Publish
    follow_s: int = 240
    pause_s: float = 15.0
    flush_s: float = 1.0
    _lines: deque[str] = field(default_factory=deque)
    _lost: int = 0
    _sent: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            group.create_task(self._flush())

    async def _read(self) -> None:
        while True:
            still_wanted()
            try:
                for pod in await self.cluster.pods(FLUX_SYSTEM, f"app={self.controller}"):
                    async for line in self.cluster.follow_log(FLUX_SYSTEM, pod, seconds=self.follow_s):
                        self.take(line)
            except ApiTrouble as error:
                log.debug("no log", extra={"action": "log-waits", "controller": self.controller, "why": str(error)})
            await asyncio.sleep(self.pause_s)

    def take(self, line: str) -> None:
        """One line; one that was passed on before (a new connection begins with the last lines) is not taken again."""
        mark = hash(line)
        if mark in self._sent:
            return
        self._sent.append(mark)
        if len(self._lines) >= PER_SECOND:
            self._lost += 1
            return
        self._lines.append(masked(line))

    async def _flush(self) -> None:
        while True:
            still_wanted()
            await asyncio.sleep(self.flush_s)
            if lines := self.drain():
                await self.publish(self.controller, lines)

    def drain(self) -> list[str]:
        """What was collected, and how much was lost."""
        lines = list(self._lines)
        self._lines.clear()
        if self._lost:
            lines.append(f"({self._lost} lines more were left out)")
            self._lost = 0
        return lines
