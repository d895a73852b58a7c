"""The Flux controllers' logs, followed to the stream of chatter: bounded, masked, by component.

Each look reads a pod's last lines and passes on those that were not passed on before; between looks no connection is
held, since hundreds of clusters would each hold three. What was written beyond the bound is lost, and that is told:
facts are never held up by logs, nor the watch by a log that cannot be read.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from flux_watcher.api import ApiTrouble
from flux_watcher.masking import masked
from flux_watcher.objects import FLUX_SYSTEM

log = logging.getLogger(__name__)

SOURCES: Final = ("source-controller", "kustomize-controller", "helm-controller")
PER_LOOK: Final = 200
"""So many of the newest lines are read at a look."""
LOST: Final = "(older lines were left out)"


class Logged(Protocol):
    """What is read of a cluster."""

    async def pods(self, namespace: str, labels: str) -> list[str]:
        """Names of the pods with these labels."""
        ...

    async def log_lines(self, namespace: str, pod: str, *, tail: int) -> list[str]:
        """The last lines that a pod logged."""
        ...


@dataclass
class Tail:
    """One controller's log."""

    controller: str
    _passed: deque[int] = field(default_factory=lambda: deque(maxlen=4 * PER_LOOK))

    async def look(self, cluster: Logged) -> Sequence[str]:
        """The lines since the last look, masked; none when the log cannot be read now."""
        fresh: list[str] = []
        try:
            for pod in await cluster.pods(FLUX_SYSTEM, f"app={self.controller}"):
                fresh.extend(self.newer(await cluster.log_lines(FLUX_SYSTEM, pod, tail=PER_LOOK)))
        except ApiTrouble as error:
            log.debug("no log", extra={"action": "log-waits", "controller": self.controller, "why": str(error)})
        return fresh

    def newer(self, lines: Sequence[str]) -> list[str]:
        """Those that were not passed on before, and whether some were missed in between."""
        known = set(self._passed)
        fresh = [line for line in lines if hash(line) not in known]
        missed = bool(known) and len(fresh) == len(lines) >= PER_LOOK
        self._passed.extend(hash(line) for line in fresh)
        return [*([LOST] if missed else []), *(masked(line) for line in fresh)]
