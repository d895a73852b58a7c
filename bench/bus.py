"""The backbone: what a message, a guarded append, a reading, a lease and an idle service cost on a real server.

Both halves of a ratio run in turns on the same server and the same stream.
"""

import sys
from pathlib import Path

if not __package__:  # run as a file: this folder's names would hide the packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import itertools
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import uvloop

from bench._consuming import consuming
from bench._ground import Ground, about, ground, ground_with_past, story
from bench._report import Figure, main, tell
from bench._standing import idle, leases
from bus.codec import encode
from contracts import History
from contracts.tofu import TofuProgressed

OTHERS = 100_000
OWN = 500
APPENDS = 100
REPEATS = 5


async def reading() -> AsyncIterator[Figure]:
    """The fold and the history of one Sovereign among many."""
    tell(f"storing {OTHERS:,} events of other Sovereigns and {OWN} of one")
    mine = about(0)
    others = (event for number in range(1, OTHERS // OWN + 1) for event in story(about(number), OWN))
    async with ground_with_past(itertools.chain(others, story(mine, OWN))) as on:
        journal = (await on.bus("intake")).journal
        folds, histories = [], []
        for _ in range(REPEATS * 10):
            started = time.perf_counter()
            fold = await journal.fold(mine.sovereign)
            folds.append((time.perf_counter() - started) * 1e3)
        for _ in range(REPEATS):
            started = time.perf_counter()
            whole = await journal.history(mine.sovereign)
            histories.append((time.perf_counter() - started) * 1e3)
            assert len(whole.recorded) == OWN
        subjects = f"{len(fold.recorded)} subjects among {OTHERS + OWN:,} events"
        yield Figure.of("fold of one Sovereign", folds, unit="ms", goal=2, note=subjects)
        yield Figure.of("history of one Sovereign", histories, unit="ms", goal=50, note=f"{OWN} events, batched get")


async def appending(on: Ground) -> AsyncIterator[Figure]:
    """A guarded append against a bare publish: the same event, the same stream, in turns."""
    tell("appending")
    runner = await on.bus("tofu-runner")
    jetstream = runner.connection.client.jetstream()
    ratios, bare_s, guarded_s, read_s = [], [], [], []
    for repeat in range(REPEATS):
        mine, bare, guarded = about(repeat), 0.0, 0.0
        history = History(mine.sovereign)
        for number, event in enumerate(story(about(100 + repeat), APPENDS)):
            payload, identity = encode(event), {"Nats-Msg-Id": str(event.id)}
            started = time.perf_counter()
            await jetstream.publish(f"tofu.progressed.{event.subject}", payload, headers=identity)
            bare += time.perf_counter() - started
            fact = TofuProgressed(
                address=f"hcloud_server.node[{number}]",
                resource_type="hcloud_server",
                state="created",
                done=number,
                total=APPENDS,
            )
            started = time.perf_counter()
            history = await runner.journal.append([fact], mine, cause=uuid4(), after=history)
            guarded += time.perf_counter() - started
        started = time.perf_counter()
        await runner.journal.fold(mine.sovereign)
        read_s.append((time.perf_counter() - started) * 1e3)
        bare_s.append(bare / APPENDS * 1e3)
        guarded_s.append(guarded / APPENDS * 1e3)
        ratios.append(guarded / bare)
    yield Figure.of("guarded append / bare publish", ratios, goal=1.2, note="revision known, sync always")
    yield Figure.of("  bare JetStream publish", bare_s, unit="ms")
    yield Figure.of("  guarded append", guarded_s, unit="ms")
    yield Figure.of("  the reading before, apart", read_s, unit="ms")


async def _measure() -> list[Figure]:
    figures = [figure async for figure in consuming()]
    async with ground() as on:
        figures += [figure async for figure in appending(on)]
        figures += [figure async for figure in leases(on)]
        figures += [figure async for figure in idle(on)]
    return figures + [figure async for figure in reading()]


if __name__ == "__main__":
    main("The backbone", lambda: uvloop.run(_measure()))
