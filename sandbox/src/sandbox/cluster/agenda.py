"""What happens next in one cluster: sequences that run on a clock, without a task per object.

A sequence is a generator that does a step and yields how many seconds to wait before the next one. Hundreds
of clusters with dozens of objects each are then one timer per cluster; and a test moves the clock by hand.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field

Sequence = Generator[float, None, None]


@dataclass(order=True, slots=True)
class _Entry:
    due: float
    order: int
    key: Hashable = field(compare=False)
    sequence: Sequence = field(compare=False)


class Agenda:
    """The pending steps of one cluster."""

    def __init__(self, clock: Callable[[], float], pace: float, wake: Callable[[float], None]) -> None:
        self._clock = clock
        self._pace = pace
        self._wake = wake
        self._heap: list[_Entry] = []
        self._current: dict[Hashable, _Entry] = {}
        self._order = itertools.count()

    def start(self, key: Hashable, sequence: Sequence, after: float = 0.0) -> None:
        """Begin a sequence; an unfinished one with the same key ends here."""
        self.stop(key)
        self._push(key, sequence, after)

    def stop(self, key: Hashable) -> None:
        """End a sequence where it is."""
        if entry := self._current.pop(key, None):
            entry.sequence.close()

    def hurry(self, key: Hashable) -> bool:
        """Take the next step of a waiting sequence now; false when there is none."""
        entry = self._current.get(key)
        if entry is None:
            return False
        self._push(key, entry.sequence, 0.0)
        return True

    def clear(self) -> None:
        """End everything."""
        for key in list(self._current):
            self.stop(key)
        self._heap.clear()

    @property
    def next_due(self) -> float | None:
        """When the next step is due, on the clock."""
        while self._heap and self._current.get(self._heap[0].key) is not self._heap[0]:
            heapq.heappop(self._heap)
        return self._heap[0].due if self._heap else None

    def run_due(self) -> None:
        """Take every step that is due."""
        now = self._clock()
        while (due := self.next_due) is not None and due <= now:
            self._step(heapq.heappop(self._heap))

    def _step(self, entry: _Entry) -> None:
        # Out of the books while it runs: a step may start, stop or hurry sequences, its own key too.
        del self._current[entry.key]
        try:
            wait = next(entry.sequence)
        except StopIteration:
            return
        if entry.key not in self._current:
            self._push(entry.key, entry.sequence, wait)

    def _push(self, key: Hashable, sequence: Sequence, after: float) -> None:
        entry = _Entry(self._clock() + after * self._pace, next(self._order), key, sequence)
        self._current[key] = entry
        heapq.heappush(self._heap, entry)
        self._wake(entry.due)
