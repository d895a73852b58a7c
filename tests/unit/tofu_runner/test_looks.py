import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tofu_runner.looks import AT_ONCE, HELD_S, KEPT_S, ActionWatch, Reads
from tofu_runner.upstream import Answer


@dataclass
class Cloud:
    """Answers reads, and how actions are: running for so many looks."""

    looks_until_done: int = 2
    asked: list[str] = field(default_factory=list)
    status: int = 200
    unknown: frozenset[int] = frozenset()

    async def ask(self, path: str) -> Answer:
        self.asked.append(path)
        await asyncio.sleep(0)
        ids = [int(number) for number in parse_qs(path.partition("?")[2]).get("id", ())]
        state = "success" if len(self.asked) >= self.looks_until_done else "running"
        actions = [{"id": number, "status": state} for number in ids if number not in self.unknown]
        return Answer(self.status, json.dumps({"actions": actions}).encode())


@dataclass
class Time:
    """A clock that only waiting moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds


def watch(cloud: Cloud, moved: Callable[[], None] = lambda: None, time: Time | None = None) -> ActionWatch:
    clock = time or Time()
    return ActionWatch(cloud.ask, every_s=1.0, moved=moved, clock=clock, sleep=clock.sleep)


def states(answer: Answer) -> dict[int, str]:
    found: list[dict[str, Any]] = json.loads(answer.body)["actions"]
    return {action["id"]: action["status"] for action in found}


async def test_all_who_wait_are_served_by_the_same_looks_and_answered_when_it_has_ended() -> None:
    cloud, moves = Cloud(looks_until_done=4), []
    looking = watch(cloud, moved=lambda: moves.append(1))
    answers = await asyncio.gather(*(looking.answer([number]) for number in range(1, 11)))
    assert [states(answer) for answer in answers] == [{number: "success"} for number in range(1, 11)]
    assert len(cloud.asked) == 4
    assert moves, "whoever keeps answers of reads is told"
    await looking.answer([1, 2])
    assert len(cloud.asked) == 4, "what has ended is not asked again"


async def test_a_long_action_is_answered_as_it_is_before_a_client_gives_up() -> None:
    cloud = Cloud(looks_until_done=10_000)
    time = Time()
    assert states(await watch(cloud, time=time).answer([7])) == {7: "running"}
    assert HELD_S <= time.now < 2 * HELD_S
    assert len(cloud.asked) < HELD_S, "the looks become rarer"


async def test_more_actions_than_a_page_holds_are_all_looked_after() -> None:
    cloud = Cloud(looks_until_done=1)
    ids = list(range(1, 2 * AT_ONCE + 2))
    assert set(states(await watch(cloud).answer(ids))) == set(ids)
    assert len(cloud.asked) == 3


async def test_a_refusal_and_an_unknown_action_are_passed_on() -> None:
    cloud = Cloud(status=503)
    assert (await watch(cloud).answer([1])).status == 503
    assert states(await watch(Cloud(looks_until_done=1, unknown=frozenset({2}))).answer([1, 2])) == {1: "success"}


async def test_a_read_is_answered_again_only_while_nothing_can_have_changed() -> None:
    cloud, time = Cloud(), Time()
    reads = Reads(cloud.ask, time)
    await asyncio.gather(*(reads.get("load_balancers/1") for _ in range(6)))
    await reads.get("load_balancers/1")
    assert len(cloud.asked) == 1
    await reads.get("load_balancers/2")
    reads.changed()
    await reads.get("load_balancers/1")
    await time.sleep(KEPT_S)
    await reads.get("load_balancers/1")
    assert len(cloud.asked) == 4


async def test_an_answer_from_before_a_change_is_not_kept_past_it() -> None:
    cloud = Cloud()
    reads = Reads(cloud.ask, Time())
    async with asyncio.TaskGroup() as group:
        early = group.create_task(reads.get("servers/1"))
        await asyncio.sleep(0)
        reads.changed()
        group.create_task(reads.get("servers/1"))
    assert early.result().status == 200
    assert len(cloud.asked) == 2


async def test_refusals_are_not_kept_and_one_callers_end_is_not_anothers() -> None:
    cloud = Cloud(status=500)
    reads = Reads(cloud.ask, Time())
    await reads.get("servers/1")
    async with asyncio.TaskGroup() as group:
        first = group.create_task(reads.get("servers/1"))
        await asyncio.sleep(0)
        second = group.create_task(reads.get("servers/1"))
        await asyncio.sleep(0)
        first.cancel()
    assert second.result().status == 500
    assert len(cloud.asked) == 3
