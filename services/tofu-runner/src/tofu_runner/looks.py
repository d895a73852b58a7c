"""Looks at the cloud that need not be made: the same read twice, and many waiters for their actions.

OpenTofu's provider reads a load balancer once for each of its parts, and looks after every running action by itself.
A read is answered from the one before while nothing can have changed: this run asked no change and saw no action move
since, and a moment ago at most. Running actions are looked after together, one call for all of them, and whoever waits
for an action is answered when it has ended.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from tofu_runner.upstream import Answer

KEPT_S: Final = 2.0
"""A read is repeated after so long whatever this run did: others may change things too."""
HELD_S: Final = 20.0
"""Whoever waits for an action is answered after so long in any case: no client gives up as early."""
SLOWER_AFTER_S: Final = 10.0
"""The looks of one wait become rarer: after so long the pause between them has doubled."""
AT_ONCE: Final = 25
"""Actions in one call: what a page of the list holds, and the provider asks for."""

Ask = Callable[[str], Awaitable[Answer]]
_OK = 200


@dataclass(frozen=True)
class _Kept:
    number: int
    at: float
    answer: asyncio.Future[Answer]


class Reads:
    """Answers that still hold."""

    def __init__(self, ask: Ask, clock: Callable[[], float]) -> None:
        self._ask, self._clock = ask, clock
        self._number = 0
        self._kept: dict[str, _Kept] = {}

    def changed(self) -> None:
        """Something was changed, or may have: no answer from before holds any more."""
        self._number += 1
        self._kept.clear()

    async def get(self, path: str) -> Answer:
        """A read; one that is under way already is shared."""
        kept = self._kept.get(path)
        if kept is not None and kept.number == self._number and self._clock() - kept.at < KEPT_S:
            answer = await _shared(kept.answer)
            if answer is not None:
                return answer
        mine = _Kept(self._number, self._clock(), asyncio.get_running_loop().create_future())
        self._kept[path] = mine
        try:
            answer = await self._ask(path)
        except BaseException:
            mine.answer.cancel()
            self._forget(path, mine)
            raise
        mine.answer.set_result(answer)
        if answer.status != _OK:
            self._forget(path, mine)
        return answer

    def _forget(self, path: str, mine: _Kept) -> None:
        if self._kept.get(path) is mine:
            del self._kept[path]


async def _shared(answer: asyncio.Future[Answer]) -> Answer | None:
    """Somebody else's answer; None when that one failed."""
    await asyncio.wait({answer})
    return None if answer.cancelled() else answer.result()


class Refused(Exception):
    """The cloud did not tell how the actions are."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


class ActionWatch:
    """Looks after the running actions of one run."""

    def __init__(
        self,
        ask: Ask,
        *,
        every_s: float,
        moved: Callable[[], None],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ask, self._every_s, self._moved, self._clock, self._sleep = ask, every_s, moved, clock, sleep
        self._known: dict[int, dict[str, Any]] = {}
        self._wanted: Counter[int] = Counter()
        self._looking = asyncio.Lock()
        self._looks = 0
        self._looked_at = float("-inf")

    async def answer(self, ids: Collection[int]) -> Answer:
        """These actions once they have ended, or as they are after a while."""
        begun = self._clock()
        self._wanted.update(ids)
        try:
            while (waited := self._clock() - begun) < HELD_S and not all(self._ended(number) for number in ids):
                await self._look(self._looks, self._every_s * (1 + waited / SLOWER_AFTER_S))
        except Refused as refused:
            return refused.answer
        finally:
            self._wanted.subtract(ids)
            self._wanted = +self._wanted
        return _page([self._known[number] for number in ids if number in self._known])

    def _ended(self, number: int) -> bool:
        action = self._known.get(number)
        return action is not None and action["status"] != "running"

    async def _look(self, seen: int, pause_s: float) -> None:
        """One call for everybody who waits; whoever finds that somebody has looked meanwhile is content."""
        async with self._looking:
            if self._looks != seen:
                return
            await self._sleep(max(0.0, self._looked_at + pause_s - self._clock()))
            running = [number for number in self._wanted if not self._ended(number)][:AT_ONCE]
            answer = await self._ask("actions?" + "&".join(f"id={number}" for number in running) + "&per_page=50")
            self._looks += 1
            self._looked_at = self._clock()
            if answer.status != _OK:
                raise Refused(answer)
            self._take(running, json.loads(answer.body)["actions"])

    def _take(self, asked: Collection[int], found: list[dict[str, Any]]) -> None:
        self._known |= {action["id"]: action for action in found}
        # Unknown to the cloud: told as not running, so that nobody waits; the client says what it makes of that.
        for number in set(asked) - {action["id"] for action in found}:
            self._known.pop(number, None)
            self._wanted.pop(number, None)
            raise Refused(_page(found))
        if any(action["status"] != "running" for action in found):
            self._moved()


def _page(actions: list[dict[str, Any]]) -> Answer:
    pages = {"page": 1, "per_page": 50, "previous_page": None, "next_page": None, "last_page": 1}
    meta = {"pagination": pages | {"total_entries": len(actions)}}
    body = json.dumps({"actions": actions, "meta": meta}).encode()
    return Answer(_OK, body, {"Content-Type": "application/json"})
