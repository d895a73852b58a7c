"""The brake: a bad deploy halts the line instead of draining it into the bin.

When the handlers of a service fail on several different messages in a row, it stops pulling for a while and says so by
being unready. Afterwards it goes on; the next error in the row engages the brake again at once, the first success ends
the row. One poison message alone never stops a service, however often it comes: it is buried.
"""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class BrakeEngaged(RuntimeError):
    """Handlers keep failing: this replica pulls nothing for now."""


class Brake:
    """Counts handler errors of one process."""

    def __init__(self, *, errors: int = 5, pause_s: float = 30.0, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = errors
        self._pause_s = pause_s
        self._now = now
        self._failing: set[str] = set()
        self._until = 0.0

    @property
    def engaged(self) -> bool:
        """Whether nothing is pulled now."""
        return self._now() < self._until

    def released(self) -> None:
        """A message was handled: the row of failures ends."""
        self._failing.clear()

    def failed(self, message: str) -> None:
        """A handler failed. ``message`` names what was delivered, the same for each of its deliveries."""
        self._failing.add(message)
        if len(self._failing) >= self._limit:
            self._until = self._now() + self._pause_s
            log.error(
                "handlers keep failing, nothing is pulled for a while",
                extra={"action": "brake", "messages": len(self._failing), "pause_s": self._pause_s},
            )

    async def check(self) -> None:
        """For /readyz."""
        if self.engaged:
            left = self._until - self._now()
            raise BrakeEngaged(
                f"handlers failed on {len(self._failing)} messages in a row, nothing is pulled for {left:.0f} s"
            )
