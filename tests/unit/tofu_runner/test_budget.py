import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import Conflict, TryAgain
from tofu_runner.budget import CHUNK, Book, Budget, key_of

TOKEN = "t" * 64


@dataclass
class Found:
    value: bytes
    revision: int


@dataclass
class Memory:
    """A bucket in memory, with the compare-and-set of the real one."""

    values: dict[str, Found] = field(default_factory=dict)
    away: bool = False

    async def get(self, key: str) -> Found | None:
        await asyncio.sleep(0)
        if self.away:
            raise TryAgain("the bus is away")
        return self.values.get(key)

    async def last_revision(self, key: str) -> int:
        return self.values[key].revision if key in self.values else 0

    async def update(self, key: str, value: bytes, revision: int) -> int:
        await asyncio.sleep(0)
        if revision != await self.last_revision(key):
            raise Conflict(key)
        self.values[key] = Found(value, revision + 1)
        return revision + 1

    async def put(self, key: str, value: bytes) -> int:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError

    async def keys(self, pattern: str) -> list[str]:
        raise NotImplementedError


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def budgets(bucket: Memory, clock: Clock, count: int) -> list[Budget]:
    return [Budget(bucket, TOKEN, f"run-{number}", clock=clock) for number in range(count)]


async def taken(budget: Budget, calls: int) -> int:
    return sum([await budget.take() == 0 for _ in range(calls)])


async def test_many_runs_together_never_take_more_than_there_is() -> None:
    bucket, clock = Memory(), Clock()
    runs = budgets(bucket, clock, 8)
    runs[0].heard(3600, 100)
    await runs[0].take()
    took = await asyncio.gather(*(taken(run, 60) for run in runs))
    assert 0 < sum(took) <= 99


async def test_of_many_that_wait_none_starves_although_one_always_asks_first() -> None:
    bucket, clock = Memory(), Clock()
    runs = budgets(bucket, clock, 5)
    runs[0].heard(3600, 0)
    took = [0] * len(runs)
    for _ in range(100):
        for number, run in enumerate(runs):
            took[number] += await run.take() == 0
        clock.now += 1
    assert 90 <= sum(took) <= 100
    assert min(took) >= 15


async def test_what_the_cloud_says_goes_into_the_book_for_everybody() -> None:
    bucket, clock = Memory(), Clock()
    first, second = budgets(bucket, clock, 2)
    await first.take()
    first.heard(3600, 0)
    assert await first.take() > 0
    assert await second.take() > 0, "the other one knows without asking the cloud"
    clock.now += 10
    assert await second.take() == 0, "one call a second comes back"


async def test_without_the_bus_calls_go_on_and_the_clouds_own_limit_holds() -> None:
    bucket = Memory(away=True)
    (run,) = budgets(bucket, Clock(), 1)
    assert await taken(run, 3) == 3
    await run.give_back()


async def test_what_was_not_used_is_given_back_and_the_key_does_not_tell_the_token() -> None:
    bucket, clock = Memory(), Clock()
    (run,) = budgets(bucket, clock, 1)
    await run.take()
    await run.give_back()
    assert list(bucket.values) == [key_of(TOKEN)]
    assert TOKEN not in key_of(TOKEN)
    assert Book.load(bucket.values[key_of(TOKEN)].value).left == 3600 - 1


async def test_a_run_knows_when_enough_calls_will_be_left() -> None:
    bucket, clock = Memory(), Clock()
    (run,) = budgets(bucket, clock, 1)
    run.heard(3600, 0)
    await run.take()
    assert run.seconds_until(60) == pytest.approx(60, abs=1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40), st.floats(0, 90)), max_size=60))
def test_the_book_never_gives_what_it_does_not_have(steps: list[tuple[str, int, float]]) -> None:
    book, now, given_out, came_back = Book(limit=3600, left=50, at=1.0), 1.0, 0, 0.0
    for run, wanted, pause in steps:
        now += pause
        came_back += pause
        book, given_now = book.at_time(now).reserved(run, wanted)
        assert 0 <= given_now <= min(wanted, 3600)
        assert book.left >= 0
        given_out += given_now
    assert given_out <= 50 + came_back + 1
    assert Book.load(book.dump()) == book


def test_a_run_that_is_silent_for_a_minute_no_longer_counts() -> None:
    book = Book(left=40, at=1.0, runs={"dead": (CHUNK, 1.0)})
    _, shared = book.reserved("alive", CHUNK * 2)
    _, alone = book.at_time(70.0).reserved("alive", CHUNK * 2)
    assert (shared, alone) == (20, 40)
