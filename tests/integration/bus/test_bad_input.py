"""Bad messages end in the dead letter queue with a reason that a person understands; everything else goes on."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bus import Bus, Denied, DoorMessage, Refused, SecretInClear, TooLarge, TryAgain, at_door, reading, seal
from bus.brake import Brake
from bus.delivery import Deliveries
from bus.dlq import DeadLetters
from bus.server import NatsServer
from bus.survey import survey
from contracts import About, Fact, History, event_of
from contracts.sovereign import SovereignCancelRequested
from contracts.topology import DOOR, INBOX, PROV
from tests.conftest import BusOf
from tests.integration.bus.hosting import dns_pdm, hosted, until
from tests.unit.intake.test_life import REQUESTED

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
SUBJECT = f"sovereign.requested.{ABOUT.sovereign}"
CANARY = "Canary" + "0A" * 29


def _event(**changes: Any) -> bytes:
    body = event_of(REQUESTED, ABOUT, source="intake", cause=uuid4()).model_dump(mode="json", exclude_none=True)
    return json.dumps(body | changes).encode()


BAD = {
    b"not json": "not JSON: ",
    b"[1, 2]": "JSON, but no CloudEvent: specversion 1.0 is missing",
    b"{}": "JSON, but no CloudEvent: specversion 1.0 is missing",
    _event(type="sovereign.wished.v1"): "type 'sovereign.wished.v1' is unknown here; this release reads",
    _event(type="sovereign.requested.v9"): "type 'sovereign.requested.v9' is unknown here; this release reads",
    _event(subject="other_omani_works"): "the event is about 'other_omani_works', its subject says 'demo_omani_works'",
    _event(data={}): "the event does not fit its schema: data.",
    _event(life=-1): "the event does not fit its schema: life: ",
}


async def test_each_bad_message_is_buried_with_its_reason_and_a_good_one_behind_them_is_handled(bus_of: BusOf) -> None:
    intake, dns, admin = [await bus_of(user) for user in ("intake", "dns-pdm", "admin")]
    letters, heard = DeadLetters(admin.connection), []

    async def reserve(event: Any, _history: History) -> list[Fact]:
        heard.append(event.subject)
        return []

    async def all_ended() -> bool:
        return len(await letters.entries()) == len(BAD) and bool(heard)

    for payload in BAD:
        await admin.connection.store(SUBJECT, payload, {})
    good = About(sovereign="good_omani_works", owner="acme", life=1, run=1)
    await intake.journal.append([REQUESTED], good, cause=uuid4(), after=History(good.sovereign))
    async with hosted(dns, dns_pdm(reserve)):
        await until(all_ended)
    assert heard == [good.sovereign]
    found = {entry.letter.payload: entry.letter for entry in await letters.entries()}
    for payload, reason in BAD.items():
        assert found[payload].reason.startswith(reason)
        assert (found[payload].consumer, found[payload].attempts) == ("dns-pdm-work", 1)
    # A reader of state passes over what it cannot read.
    assert (await intake.journal.fold(good.sovereign)).life == 1


async def test_over_256_kib_is_a_typed_error_at_the_publisher_and_refused_by_the_stream(bus_of: BusOf) -> None:
    intake = await bus_of("intake")
    for limit in (256 * 1024, 900_000):
        with pytest.raises(TooLarge, match="256 KiB"):
            await intake.connection.store(SUBJECT, b"x" * 300_000, {}, limit=limit)
    assert (await intake.journal.last_sequence()) == 0


async def test_a_canary_secret_is_in_no_stream_no_bucket_and_no_file(bus_of: BusOf, nats_server: NatsServer) -> None:
    intake, dns, tofu, admin = [await bus_of(user) for user in ("intake", "dns-pdm", "tofu-runner", "admin")]
    (key,) = intake.public_keys_of("tofu-runner")
    sealed = seal(CANARY.encode(), to=key, reader="tofu-runner", purpose="cloud-token", bound_to=ABOUT.sovereign)
    await intake.vault.put(ABOUT.sovereign, 1, sealed)
    fact = SovereignCancelRequested(reason=CANARY)
    with pytest.raises(SecretInClear, match="cloud token"):
        await intake.journal.append([fact], ABOUT, cause=uuid4(), after=History(ABOUT.sovereign))
    await intake.logs.say(ABOUT.sovereign, "tofu", 1, ["fine", f"token {CANARY}", "fine too"])
    tries = 0

    async def reserve(_event: Any, _history: History) -> list[Fact]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise TryAgain(f"{CANARY} is throttled")
        raise Refused(f"the cloud does not know {CANARY}")

    async with hosted(dns, dns_pdm(reserve)):
        await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=History(ABOUT.sovereign))
        (entry,) = await until(DeadLetters(admin.connection).entries)
    assert entry.letter.reason == "the cloud does not know [a cloud token, withheld]"
    assert await tofu.vault.open(ABOUT.sovereign, 1, "cloud-token") == CANARY.encode()
    assert intake.logs.dropped == 1

    streams = [row.name for row in await survey(admin.connection) if row.messages]
    assert {PROV, "DLQ", "LOGS", "KV_sealed", "KV_presence"} <= set(streams)
    for stream in streams:
        assert not [m async for m in reading.everything(admin.connection, stream, ">") if _holds(m)], stream
    files = [file for file in nats_server.directory.rglob("*") if file.is_file()]
    assert len(files) > 20
    assert not [file for file in files if CANARY.encode() in _bytes(file)]


def _holds(message: reading.Stored) -> bool:
    return CANARY.encode() in message.data or CANARY in json.dumps(message.headers) + message.subject


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


async def test_a_door_message_that_is_erased_already_is_settled_all_the_same(bus_of: BusOf) -> None:
    """Two deliveries of one message may overlap; whichever ends later finds nothing to erase."""
    intake, publisher = await bus_of("intake"), await bus_of("publisher")
    sequence = await publisher.connection.store(DOOR, b"{}", {})
    came: asyncio.Queue[DoorMessage] = asyncio.Queue()
    ports = intake.connection, intake.journal, intake.timers, intake.metrics
    deliveries = Deliveries(*ports, [at_door(came.put)], brake=Brake())
    inbox = intake.connection.client.new_inbox()
    pulled = await intake.connection.client.subscribe(inbox)
    await intake.connection.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{INBOX}.intake-door", b"1", reply=inbox)
    message = await pulled.next_msg(timeout=20)
    erased = await intake.connection.api(f"$JS.API.STREAM.MSG.DELETE.{INBOX}", {"seq": sequence})
    assert "error" not in erased
    assert await deliveries.deliver(message, "intake-door") == "done"
    assert came.qsize() == 1


async def test_only_its_reader_may_fetch_a_sealed_secret(bus_of: BusOf) -> None:
    intake, dns, tofu = [await bus_of(user) for user in ("intake", "dns-pdm", "tofu-runner")]
    (key,) = intake.public_keys_of("tofu-runner")
    sealed = seal(b"canary", to=key, reader="tofu-runner", purpose="cloud-token", bound_to=ABOUT.sovereign)
    await intake.vault.put(ABOUT.sovereign, 1, sealed)
    name = f"tofu-runner.{ABOUT.sovereign}.1.cloud-token"

    async def readable(bus: Bus) -> bool:
        try:
            return await bus.kv("sealed").get(name) is not None
        except Denied:
            return False

    assert [await readable(bus) for bus in (intake, dns, tofu)] == [False, False, True]
