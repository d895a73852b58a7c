"""The relay: events to many sockets, beside what others do with the same, in one run.

Peers: (a) a plain aiohttp loop that sends each event to each client, (b) nats-server's own WebSocket listener with a
client each. The relay has one core; publisher, clients and the broker that feeds it share the other. Open loop: the
publisher flushes after 1, 16 or 1,600 messages and never waits for a client. The gateway is the real process on the
real stream, so each of its events was stored first; the peers get theirs from a plain subject.
"""

import sys
from pathlib import Path

if not __package__:  # run as a file: this folder's names would hide the packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import asyncio
import base64
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import nkeys
import uvloop

from bench._ground import about
from bench._peers import SUBJECT, Publisher, nats_server, plain_loop
from bench._report import Figure, main, tell
from bench._standing import cpu_s
from bench._viewers import MARK, Door, Viewers, opened
from bus import connect
from bus.codec import encode
from bus.journal import headers_of
from bus.server import NatsServer, free_port, running_server
from contracts import event_of
from contracts.account import ACCOUNTS_FILE, Account, Accounts, ApiToken, digest_of
from contracts.request import SovereignRequest
from contracts.sovereign import SovereignRequested
from tests.requests import request_body

SOCKETS = 500
EVENT_BYTES = 324
REPEATS = 3
FLUSHES = (1, 16, 1600)
LOOP_EVENTS = {1: 320, 16: 320, 1600: 1600}
BROKER_EVENTS = {1: 320, 16: 3200, 1600: 6400}
GATEWAY_EVENTS = 6400
RELAY_CORE, OTHERS_CORE = 0, 1
TOKEN = "czt_bench"  # noqa: S105 - opens a gateway that lives as long as this run
LATE = 10_000
AT_ONCE = 50
VIEWERS = 1000
SLOW = 200
RATE_PER_S = 20
RATED = 100


def payload(sovereign: str, *, stamp: int = 0) -> bytes:
    """An event of 324 bytes, as the stream keeps it: the envelope, then the data, with the mark that is counted."""
    body = (
        f'{{"specversion":"1.0","id":"{uuid4()}","source":"tofu-runner","type":"tofu.progressed.v1","owner":"acme",'
        f'"subject":"{sovereign}","life":1,"run":1,"data":{{"stamp":"{stamp:020d}","pad":"'
    ).encode()
    return body + b"." * (EVENT_BYTES - len(body) - len(MARK) - 3) + MARK + b'"}}'


@dataclass
class Relay:
    """A gateway on a broker, and the way to publish into its stream."""

    port: int
    pid: int
    server: NatsServer
    sovereign: str

    def door(self, *, after: str = "0") -> Door:
        """For a viewer of this Sovereign's facts."""
        hello = json.dumps({"type": "subscribe", "channel": self.sovereign, "from": int(after)}).encode()
        return Door(self.port, "/ws", (f"Authorization: Bearer {TOKEN}",), (hello,), until=b'"type":"live"')

    def publisher(self) -> Publisher:
        """As the administrator, who may say everything."""
        seed = (self.server.keys / "admin.nk").read_bytes().strip()
        key = nkeys.from_seed(seed)
        made = Publisher(self.server.port, {"nkey": key.public_key.decode()})
        signature = base64.urlsafe_b64encode(key.sign(made.info["nonce"].encode())).decode().rstrip("=")
        made.begin(sig=signature)
        return made

    def resident_kib(self) -> int:
        """Memory of the gateway's process."""
        return int(Path(f"/proc/{self.pid}/status").read_text().split("VmRSS:")[1].split()[0])


@asynccontextmanager
async def relay(folder: Path, number: int) -> AsyncIterator[Relay]:
    """A fresh gateway with one Sovereign."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs in this loop yet
    account = Account(name="bench", owner="acme", roles=("viewer",))
    accounts = Accounts(accounts=(account,), tokens=(ApiToken(account="bench", sha256=digest_of(TOKEN)),))
    (folder / ACCOUNTS_FILE).write_text(accounts.model_dump_json())
    async with running_server(folder / "nats", sync="2m", scale=0.2) as server:
        mine = about(number)
        shape = SovereignRequest.model_validate(request_body("bench.omani.works")).shape()
        request = SovereignRequested(
            request_id=uuid4(), kind="new", shape=shape, body_digest="0" * 64, admin_ref="bench.1.admin"
        )
        event = event_of(request, mine, source="intake", cause=uuid4())
        async with connect(server.settings("admin"), "admin") as admin:
            await admin.connection.store(event.nats_subject, encode(event), headers_of(event), scan=False)
        port = free_port()
        environment = {
            **os.environ,
            **server.environment("gateway"),
            "GATEWAY_PORT": str(port),
            "GATEWAY_ACCOUNTS_DIR": str(folder),
            "CATALYST_LOG_LEVEL": "INFO",
        }
        told = folder / "gateway.log"
        with told.open("wb") as log:
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", env=environment, stderr=log)
        try:
            async with asyncio.timeout(60):
                while '"started"' not in told.read_text():  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.05)
            os.sched_setaffinity(process.pid, {RELAY_CORE})
            yield Relay(port, process.pid, server, mine.sovereign)
        finally:
            process.terminate()
            await process.communicate()


async def rates(folder: Path, viewers: Viewers) -> AsyncIterator[Figure]:
    """Deliveries a second of the three, in turns."""
    found: dict[tuple[str, int], list[float]] = {}
    cost: dict[tuple[str, int], list[float]] = {}
    async with relay(folder / "rates", 0) as ours, nats_server(folder) as (port, websocket, pid):
        subject = f"tofu.progressed.{ours.sovereign}"
        nats = json.dumps({"verbose": False, "pedantic": False, "no_responders": False}).encode()
        hello = b"CONNECT " + nats + b"\r\nSUB " + SUBJECT.encode() + b" 1\r\nPING\r\n"
        async with plain_loop(port, RELAY_CORE) as (loop_port, loop_pid):
            listener = Door(websocket, "/", (), (hello,), opcode=0x82, until=b"PONG")
            parties = {
                "loop": (Door(loop_port, "/ws"), LOOP_EVENTS, loop_pid),
                "broker": (listener, BROKER_EVENTS, pid),
                "gateway": (ours.door(), dict.fromkeys(FLUSHES, GATEWAY_EVENTS), ours.pid),
            }
            for _ in range(REPEATS):
                for every in FLUSHES:
                    for name, (door, events, relaying) in parties.items():
                        stored = name == "gateway"
                        os.sched_setaffinity(pid, {RELAY_CORE if name == "broker" else OTHERS_CORE})
                        publisher = ours.publisher() if stored else _plain(port)
                        before = cpu_s(relaying)
                        rate = _deliver(viewers, door, publisher, subject if stored else SUBJECT, every, events[every])
                        spent = (cpu_s(relaying) - before) / (events[every] * SOCKETS) * 1e6
                        found.setdefault((name, every), []).append(rate)
                        cost.setdefault((name, every), []).append(spent)
                        tell(f"{name}, flushed after {every}: {rate:,.0f} deliveries/s")
    for every in FLUSHES:
        loop, broker, gateway = (found[name, every] for name in ("loop", "broker", "gateway"))
        note = f"{SOCKETS} sockets, {EVENT_BYTES} bytes, flushed after {every:,}"
        yield Figure.of(f"relay / aiohttp loop, {every:,}", _ratios(gateway, loop), goal=8, better="higher", note=note)
        yield Figure.of(f"relay / broker's WebSocket, {every:,}", _ratios(gateway, broker), goal=1, better="higher")
        yield Figure.of(f"  relay, {every:,}", gateway, unit="deliveries/s")
        yield Figure.of(f"  aiohttp loop, {every:,}", loop, unit="deliveries/s")
        yield Figure.of(f"  broker's WebSocket, {every:,}", broker, unit="deliveries/s")
        for name in ("gateway", "loop", "broker"):
            # What another load on the machine does not change: the relaying process' own processor time.
            yield Figure.of(f"  processor time, {name}, {every:,}", cost[name, every], unit="us a delivery")


def _plain(port: int) -> Publisher:
    made = Publisher(port, {})
    made.begin()
    return made


def _deliver(viewers: Viewers, door: Door, publisher: Publisher, subject: str, every: int, events: int) -> float:
    """Events to every socket; deliveries a second from the first publish to the last arrival."""
    newest = 0
    if door.hello and b"subscribe" in door.hello[0]:
        newest = _newest(door)
        hello = json.loads(door.hello[0]) | {"from": newest}
        door = Door(door.port, door.path, door.headers, (json.dumps(hello).encode(),), door.opcode, door.until)
    viewers.ask("open", door, SOCKETS)
    sovereign = subject.rsplit(".", 1)[-1]
    payloads = [payload(sovereign) for _ in range(events)]
    viewers.begin("count", events)
    started = time.monotonic()
    publisher.publish(subject, payloads, every=every)
    ended: float
    ended, total = viewers.answer()
    publisher.close()
    viewers.ask("close")
    assert total == events * SOCKETS, f"{total} deliveries of {events * SOCKETS}"
    return events * SOCKETS / (ended - started)


def _newest(door: Door) -> int:
    """Where the stream is: what the gateway says when a viewer is at its end."""
    one, seen = opened(door)
    with one:
        while door.until not in seen or b"}" not in seen.split(door.until)[1]:
            seen = seen[-400:] + one.recv(1 << 18)
    said = seen.split(door.until)[1].split(b'"id":"')[1].split(b'"')[0]
    return int(said.rsplit(b"-", 1)[1])


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


async def waits(folder: Path, viewers: Viewers) -> AsyncIterator[Figure]:
    """A thousand viewers: memory while nothing happens, and how long an event takes; then beside slow readers."""
    tell(f"{VIEWERS} viewers")
    async with relay(folder / "waits", 1) as ours:
        publisher = ours.publisher()
        before = ours.resident_kib()
        viewers.ask("open", ours.door(), VIEWERS)
        await asyncio.sleep(1)
        yield Figure(name="memory per idle socket", value=(ours.resident_kib() - before) / VIEWERS, unit="KiB", goal=40)
        taken = await _rated(viewers, publisher, ours.sovereign)
        note = f"{VIEWERS:,} viewers, {RATE_PER_S} events/s"
        yield Figure(name="publish to browser frame, p99", value=_p99(taken) * 1e3, unit="ms", goal=250, note=note)
        viewers.ask("close")
        tell(f"{SLOW} slow readers")
        alone, beside = [], []
        newest = _newest(ours.door())
        hello = json.dumps({"type": "subscribe", "channel": ours.sovereign, "from": newest}).encode()
        door = Door(ours.port, "/ws", (f"Authorization: Bearer {TOKEN}",), (hello,), until=b'"type":"live"')
        for _ in range(REPEATS):
            viewers.ask("open", door, SLOW)
            alone.append(_p99(await _rated(viewers, publisher, ours.sovereign)))
            slow = [opened(door, receive_bytes=4096)[0] for _ in range(SLOW)]
            publisher.publish(f"tofu.progressed.{ours.sovereign}", [payload(ours.sovereign)] * 3000, every=3000)
            viewers.ask("count", 3000)
            beside.append(_p99(await _rated(viewers, publisher, ours.sovereign)))
            for one in slow:
                one.close()
            viewers.ask("close")
            hello = json.dumps({"type": "subscribe", "channel": ours.sovereign, "from": _newest(door)}).encode()
            door = Door(ours.port, "/ws", door.headers, (hello,), until=door.until)
        publisher.close()
        note = f"{SLOW} readers that read nothing, {SLOW} that do"
        yield Figure.of("p99 beside slow readers / without", _ratios(beside, alone), goal=1.1, note=note)
        yield Figure.of("  p99 without slow readers", [one * 1e3 for one in alone], unit="ms")
        yield Figure.of("  p99 beside slow readers", [one * 1e3 for one in beside], unit="ms")


async def _rated(viewers: Viewers, publisher: Publisher, sovereign: str) -> list[float]:
    """So many events at a steady pace; how long each took to each viewer."""
    viewers.begin("latencies", RATED)
    for _ in range(RATED):
        stamped = payload(sovereign, stamp=time.monotonic_ns())
        publisher.publish(f"tofu.progressed.{sovereign}", [stamped], every=1)
        await asyncio.sleep(1 / RATE_PER_S)
    found: list[float] = viewers.answer()
    return found


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


async def late(folder: Path, viewers: Viewers) -> AsyncIterator[Figure]:
    """Who joins late gets the whole past: from the stream, from memory, and fifty at once."""
    tell(f"late joiners to {LATE:,} events")
    cold, warm, together = [], [], []
    for number in range(REPEATS):
        async with relay(folder / f"late{number}", 2 + number) as ours:
            publisher = ours.publisher()
            publisher.publish(f"tofu.progressed.{ours.sovereign}", [payload(ours.sovereign)] * LATE, every=1000)
            publisher.close()
            await asyncio.sleep(1)
            door = Door(ours.port, "/ws", ours.door().headers, ours.door().hello)
            cold.append(viewers.ask("join", door, 1, LATE))
            warm.append(viewers.ask("join", door, 1, LATE))
            together.append(LATE * AT_ONCE / viewers.ask("join", door, AT_ONCE, LATE))
            viewers.ask("close")
    note = f"{LATE:,} events of {EVENT_BYTES} bytes"
    yield Figure.of("a late joiner, from the stream", [one * 1e3 for one in cold], unit="ms", goal=300, note=note)
    yield Figure.of("a late joiner, from memory", [one * 1e3 for one in warm], unit="ms", goal=50, note=note)
    yield Figure.of(
        f"{AT_ONCE} late joiners at once", together, unit="deliveries/s", goal=400_000, better="higher", note=note
    )


async def _measure() -> list[Figure]:
    os.sched_setaffinity(0, {OTHERS_CORE})
    with tempfile.TemporaryDirectory(prefix="catalyst-bench-") as place, Viewers(OTHERS_CORE) as viewers:
        folder = Path(place)
        found = [figure async for figure in rates(folder, viewers)]
        found += [figure async for figure in waits(folder, viewers)]
        return found + [figure async for figure in late(folder, viewers)]


if __name__ == "__main__":
    main("The relay", lambda: uvloop.run(_measure()))
