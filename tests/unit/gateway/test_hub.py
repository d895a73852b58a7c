import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from bus import Answer
from contracts.event import Fact
from gateway.channel import Filter
from gateway.frames import EVERYTHING, Frame, Kind, sequence_of, token, ws_frame
from gateway.hub import HIGH_WATER, Hub
from tests.unit.gateway import story

ALL = Filter("demo")


def frames(*facts: Fact, first: int = 1, **who: object) -> list[Frame]:
    return [
        Frame.of(first + index, event.nats_subject, event.model_dump_json(exclude_none=True).encode())
        for index, (_, event) in enumerate(story.events(*facts, **who))
    ]


@dataclass
class FakeTrail:
    """A stream in memory."""

    stored: list[Frame] = field(default_factory=list)
    reads: int = 0
    while_reading: list[Frame] = field(default_factory=list)
    hub: Hub | None = None

    async def epoch(self) -> str:
        return "e"

    async def newest(self) -> int:
        return self.stored[-1].sequence if self.stored else 0

    async def history(self, sovereign: str, *, after: int = 0, limit: int | None = None) -> list[Frame]:
        self.reads += 1
        found = [f for f in self.stored if f.sovereign == sovereign and f.sequence > after]
        for frame in self.while_reading:
            assert self.hub is not None
            self.hub.take(frame)
        return found

    async def live(self, *, after: int) -> AsyncIterator[Frame]:
        for frame in self.stored:
            if frame.sequence > after:
                yield frame

    async def owner_of(self, sovereign: str) -> str | None:
        return next((f.owner for f in reversed(self.stored) if f.sovereign == sovereign), None)


@dataclass(eq=False)
class FakeViewer:
    """A connection whose other side may stop reading."""

    kind: Kind = "sse"
    stuck: bool = False
    got: bytes = b""
    waiting: int = 0
    why: str = ""

    def buffered(self) -> int:
        return self.waiting

    def write(self, blob: bytes) -> None:
        self.got += blob
        if self.stuck:
            self.waiting += len(blob)

    def close(self, why: str) -> None:
        self.why = why

    @property
    def sequences(self) -> list[int]:
        lines = self.got.decode().splitlines()
        return [int(line.rpartition("-")[2]) for line in lines if line.startswith("id: ")]


async def hub_of(trail: FakeTrail, *, cache_bytes: int = 1 << 20, slow_s: float = 15) -> Hub:
    hub = Hub(trail, cache_bytes=cache_bytes, slow_s=slow_s)
    trail.hub = hub
    await hub.start()
    return hub


def drain(hub: Hub, times: int = 50) -> None:
    for _ in range(times):
        hub.flush()


async def test_history_is_read_once_however_many_viewers_join() -> None:
    trail = FakeTrail(frames(*story.facts()))
    hub = await hub_of(trail)
    viewers = [FakeViewer() for _ in range(20)]
    for viewer in viewers:
        await hub.subscribe(viewer, story.ID, after=0, only=ALL)
    drain(hub)
    assert trail.reads == 1
    assert all(viewer.sequences == list(range(1, len(trail.stored) + 1)) for viewer in viewers)


async def test_what_is_said_while_the_history_is_read_is_neither_lost_nor_told_twice() -> None:
    said = frames(*story.facts())
    trail = FakeTrail(said[:10])
    hub = await hub_of(trail)
    trail.stored, trail.while_reading = said[:12], said[10:15]  # two of them are in the reading as well
    viewer = FakeViewer()
    await hub.subscribe(viewer, story.ID, after=0, only=ALL)
    for frame in said[15:]:
        hub.take(frame)
    drain(hub)
    assert viewer.sequences == [frame.sequence for frame in said]


async def test_a_viewer_that_stops_reading_is_left_where_it_is_and_the_others_go_on() -> None:
    said = frames(*story.facts())
    big = [Frame(n, f.fact, f.sovereign, f.owner, f.raw + b" " * HIGH_WATER) for n, f in enumerate(said, 1)]
    hub = await hub_of(FakeTrail(big), cache_bytes=1 << 30)
    stuck, reader = FakeViewer(stuck=True), FakeViewer()
    await hub.subscribe(stuck, story.ID, after=0, only=ALL)
    await hub.subscribe(reader, story.ID, after=0, only=ALL)
    drain(hub)
    assert reader.sequences == list(range(1, len(big) + 1))
    assert len(stuck.sequences) < len(big)
    assert stuck.waiting < 4 * HIGH_WATER
    stuck.waiting, stuck.stuck = 0, False
    drain(hub)
    assert stuck.sequences == reader.sequences


async def test_a_viewer_that_takes_nothing_for_too_long_is_closed_with_a_reason() -> None:
    said = frames(*story.facts())
    big = [Frame(n, f.fact, f.sovereign, f.owner, f.raw + b" " * HIGH_WATER) for n, f in enumerate(said, 1)]
    hub = await hub_of(FakeTrail(big), slow_s=0.0)
    viewer = FakeViewer(stuck=True)
    await hub.subscribe(viewer, story.ID, after=0, only=ALL)
    drain(hub)
    assert viewer.why == "too slow: resume from the last id"
    assert hub.viewers == 0


async def test_a_filter_by_domain_or_fact_passes_nothing_else() -> None:
    hub = await hub_of(FakeTrail(frames(*story.facts())))
    viewer = FakeViewer()
    await hub.subscribe(viewer, story.ID, after=0, only=Filter("demo", frozenset({"dns", "hr.ready"})))
    drain(hub)
    types = {json.loads(row[6:])["type"] for row in viewer.got.decode().splitlines() if row.startswith('data: {"spec')}
    assert types == {"dns.reserved.v1", "dns.published.v1", "dns.delegated.v1", "hr.ready.v1"}


async def test_the_next_owner_of_a_name_gets_nothing_of_the_former_life() -> None:
    old = frames(*story.facts())
    new = frames(story.requested(), first=len(old) + 1, owner="other", life=2, run=2)
    hub = await hub_of(FakeTrail(old + new))
    former, present = FakeViewer(), FakeViewer()
    await hub.subscribe(former, story.ID, after=0, only=ALL, with_view=True)
    await hub.subscribe(present, story.ID, after=0, only=Filter("other"), with_view=True)
    drain(hub)
    assert present.sequences == [new[0].sequence]
    assert former.sequences == [frame.sequence for frame in old]
    assert b"event: view" not in former.got
    assert b"event: view" in present.got


async def test_the_channel_of_everything_tells_only_what_is_the_callers() -> None:
    hub = await hub_of(FakeTrail())
    viewer = FakeViewer()
    await hub.subscribe(viewer, EVERYTHING, after=0, only=ALL)
    for frame in frames(story.requested()) + frames(
        story.requested(), first=2, owner="other", sovereign_id="b_omani_works"
    ):
        hub.take(frame)
    drain(hub)
    assert viewer.sequences == [1]


async def test_histories_that_nobody_watches_are_given_up_above_the_cache_size() -> None:
    stored = [
        frame
        for number in range(20)
        for frame in frames(*story.facts(), first=number * 100 + 1, sovereign_id=f"s{number}_omani_works")
    ]
    trail = FakeTrail(stored)
    hub = await hub_of(trail, cache_bytes=sum(len(f.raw) for f in stored) // 4)
    for number in range(20):
        await hub.channel(f"s{number}_omani_works")
    await hub.channel("s19_omani_works")
    assert trail.reads == 20
    await hub.channel("s0_omani_works")
    assert trail.reads == 21


@pytest.mark.parametrize("resume", ["other-3", "e-99", "x", "-1", "e--1", "9" * 30])
def test_a_resume_token_of_another_stream_or_of_the_future_is_refused(resume: str) -> None:
    with pytest.raises(Answer) as refused:
        sequence_of(resume, epoch="e", newest=10)
    assert refused.value.trouble.code == "resume-unknown"


def test_a_resume_token_is_read_back_as_it_was_given() -> None:
    assert sequence_of(token("e", 7), epoch="e", newest=10) == 7
    assert sequence_of("7", epoch="e", newest=10) == 7
    assert sequence_of(None, epoch="e", newest=10) == 0


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_of_every_length_form_have_the_right_header(size: int) -> None:
    header = len(ws_frame(b"x" * size)) - size
    assert header == (2 if size < 126 else 4 if size < 65536 else 10)


def test_a_line_break_in_a_payload_cannot_end_an_sse_record_early() -> None:
    frame = Frame.of(1, f"dns.reserved.{story.ID}", b'{"owner":\n"demo",\r\n"data":{}}')
    record = frame.encoded("sse", story.ID, "e")
    assert record.count(b"\n") == 3
    assert (frame.owner, b"\r" in record) == ("demo", False)
