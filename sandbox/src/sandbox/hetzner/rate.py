"""The rate limit of a project: a token bucket that may be emptied in a burst and fills at a steady pace."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Bucket:
    """How many calls are left now."""

    limit: int
    per_second: float
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level, self._at = float(self.limit), self.clock()

    def take(self) -> bool:
        """Use one call up; False when none is left."""
        self._fill()
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def set(self, *, limit: int | None = None, per_second: float | None = None, remaining: int | None = None) -> None:
        """Change the limit or the pace, or pretend that somebody else has used calls up."""
        self._fill()
        if limit is not None:
            self._level = max(0.0, self._level + limit - self.limit)
            self.limit = limit
        if per_second is not None:
            self.per_second = per_second
        if remaining is not None:
            self._level = float(remaining)

    @property
    def remaining(self) -> int:
        """Whole calls left."""
        self._fill()
        return int(self._level)

    def headers(self) -> dict[str, str]:
        """What each answer says about it; the reset is when the bucket will be full."""
        missing = self.limit - self._level
        wait = math.ceil(missing / self.per_second) if self.per_second > 0 else 3600
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(int(self._level)),
            "RateLimit-Reset": str(int(time.time()) + wait),
        }

    def _fill(self) -> None:
        now = self.clock()
        self._level = min(float(self.limit), self._level + (now - self._at) * self.per_second)
        self._at = now
