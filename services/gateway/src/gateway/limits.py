"""Token buckets: so many calls at once, so many per second afterwards, per key. Bounded in memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from contracts.errors import trouble
from gateway.problems import Problem


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Limit:
    """One limit over many keys."""

    def __init__(
        self, *, burst: int, per_s: float, keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._per_s, self._keys, self._clock = burst, per_s, keys, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, *, attempted: str) -> None:
        """Count one call; Problem when there were too many."""
        now = self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        bucket.level = min(self._burst, bucket.level + (now - bucket.at) * self._per_s)
        bucket.at = now
        self._buckets[key] = bucket
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)
        if bucket.level < 1:
            wait = (1 - bucket.level) / self._per_s
            raise Problem(trouble("too-many-requests", attempted=attempted, on=attempted), retry_after_s=wait)
        bucket.level -= 1
