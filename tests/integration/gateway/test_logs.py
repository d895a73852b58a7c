"""Log lines: what controllers logged, on a channel of its own beside the facts."""

import asyncio
import json
from collections.abc import AsyncIterator

from bus import LogChunk
from contracts.catalogue import FLUX
from gateway.frames import Kind
from gateway.logbook import HIGH_WATER, Logbook
from tests.integration.gateway.conftest import OTHER, Edge, EdgeOf, sse, until
from tests.unit.gateway import story

SOURCE = "helm-controller"


async def log_lines(edge: Edge, *, at_least: int) -> list[dict[str, str]]:
    """The stream of chatter stores a little later than it passes on: ask until it has."""
    async with asyncio.timeout(60):
        while True:
            lines: list[dict[str, str]] = (await (await edge.get(f"/api/v1/sovereigns/{story.ID}/logs")).json())[
                "lines"
            ]
            if len(lines) >= at_least:
                return lines
            await asyncio.sleep(0.05)


async def test_lines_are_shown_once_each_in_order_to_their_owner_alone_and_no_secret_is_among_them(
    edge_of: EdgeOf,
) -> None:
    edge = await edge_of()
    await edge.say(story.requested())
    watcher = await edge.bus_of(FLUX)
    await watcher.logs.say(story.ID, SOURCE, 1, ["first", "second", "token: Bearer abcdefghijklmnopqrstuvwxyz012345"])
    assert [line["text"] for line in await log_lines(edge, at_least=2)] == ["first", "second"]
    path = f"/api/v1/sovereigns/{story.ID}/logs"
    async with edge.socket() as socket:
        await socket.send_json({"type": "subscribe", "channel": story.ID, "logs": True})
        past = (await until(socket, "log"))[-1]["lines"]
        await watcher.logs.say(story.ID, SOURCE, 1, ["third"])
        now = (await until(socket, "log"))[-1]["lines"]
    assert [line["text"] for line in (*past, *now)] == ["first", "second", "third"]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(past[-1]["id"])}
    async with asyncio.timeout(60):
        response = await edge.get(path, headers=headers)
        resumed = await sse(response, until=lambda record: record.get("event") == "log")
        response.close()
    assert [line["text"] for line in json.loads(resumed[-1]["data"])["lines"]] == ["third"]
    assert (await edge.get(path, token=OTHER)).status == 404
    assert (await edge.get(f"{path}?from=x")).status == 422
    newest = await (
        await edge.get(f"{path}?limit=1&source={SOURCE}", headers={"Accept": "application/x-ndjson"})
    ).text()
    assert json.loads(newest)["text"] == "third"


class FullViewer:
    """A viewer whose transport holds as much as it is told."""

    kind: Kind = "ws"

    def __init__(self) -> None:
        self.holds = HIGH_WATER + 1
        self.got: list[str] = []

    def buffered(self) -> int:
        return self.holds

    def write(self, blob: bytes) -> None:
        self.got.append(blob.decode(errors="replace"))

    def close(self, why: str) -> None:
        raise AssertionError(why)


class Chatter:
    """A source of chunks that the test adds to."""

    def __init__(self) -> None:
        self.chunks: list[LogChunk] = []
        self.news: asyncio.Queue[str] = asyncio.Queue()

    def add(self, text: str) -> None:
        number = len(self.chunks) + 1
        self.chunks.append(LogChunk(number, f"2026-11-26T00:00:{number:02d}Z", SOURCE, 1, (text,)))
        self.news.put_nowait(story.ID)

    async def after(self, sovereign: str, sequence: int) -> AsyncIterator[LogChunk]:
        for chunk in self.chunks[sequence:]:
            yield chunk

    async def heard(self) -> AsyncIterator[str]:
        while True:
            yield await self.news.get()


async def test_a_slow_viewer_gets_no_lines_and_is_told_how_many_it_missed_when_it_has_caught_up() -> None:
    chatter, viewer = Chatter(), FullViewer()
    logbook = Logbook(chatter)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for work in (logbook.listen, logbook.pump)]
        chatter.add("of an earlier owner")
        for text in ("one", "two"):
            chatter.add(text)
        place = await logbook.look(viewer, story.ID, since="2026-11-26T00:00:02")
        while place.dropped < 2:
            await asyncio.sleep(0.01)
        assert viewer.got == []
        viewer.holds = 0
        chatter.add("three")
        while not viewer.got:
            await asyncio.sleep(0.01)
        logbook.leave(place)
        for task in tasks:
            task.cancel()
    assert '"text":"three"' in viewer.got[0]
    assert '"dropped":2' in viewer.got[0]
