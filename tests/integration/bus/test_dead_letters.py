"""What could not be handled: kept with its reason, given again on request, and never with a secret in it."""

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

from bus import Bus, Refused, TryAgain
from bus.dlq import DeadLetters, Entry
from bus.server import NatsServer
from contracts import About, Fact, History
from contracts.dns import DnsReserved
from contracts.topology import PROV
from tests.conftest import BusOf
from tests.integration.bus.hosting import dns_pdm, hosted, until
from tests.integration.bus.operator import catalyst
from tests.unit.intake.test_life import REQUESTED

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
SUBJECT = f"sovereign.requested.{ABOUT.sovereign}"
RESERVED = DnsReserved(zone="demo.omani.works.", nameservers=())
CANARY = "Canary" + "0A" * 29


async def _entries(bus: Bus, count: int) -> list[Entry]:
    letters = DeadLetters(bus.connection)

    async def enough() -> list[Entry]:
        found = await letters.entries()
        return found if len(found) >= count else []

    found: list[Entry] = await until(enough)
    assert len(found) == count
    return found


async def test_a_buried_message_is_kept_with_its_reason_and_a_replay_reaches_its_service_alone(
    bus_of: BusOf, nats_server: NatsServer
) -> None:
    intake, dns, cli = await bus_of("intake"), await bus_of("dns-pdm"), await bus_of("cli")
    mended = False

    async def reserve(_event: Any, _history: History) -> list[Fact]:
        if not mended:
            raise Refused(f"the zone is broken, {CANARY} was refused")
        return [RESERVED]

    async def reserved() -> bool:
        return (await intake.journal.fold(ABOUT.sovereign)).last(DnsReserved) is not None

    async with hosted(dns, dns_pdm(reserve)):
        await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=History(ABOUT.sovereign))
        (entry,) = await _entries(cli, 1)
        letter = entry.letter
        assert (entry.kind, letter.consumer, letter.stream, letter.sequence) == ("buried", "dns-pdm-work", PROV, 1)
        assert (letter.subject, letter.attempts) == (SUBJECT, 1)
        assert letter.reason == "the zone is broken, [a cloud token, withheld] was refused"
        assert letter.headers["Content-Type"] == "application/cloudevents+json"
        assert letter.payload is not None
        assert hashlib.sha256(letter.payload).hexdigest() == letter.payload_sha256

        listed = await catalyst(nats_server, "dlq", "list")
        assert (listed.exit_code, "the zone is broken" in listed.output) == (0, True), listed.output
        shown = await catalyst(nats_server, "dlq", "show", str(entry.number))
        assert "sequence 1 of PROV" in shown.output
        assert json.loads(shown.output.partition("payload\n")[2])["subject"] == ABOUT.sovereign

        # Still broken: the replay is buried anew, and is again of the consumer that first had it.
        assert (await catalyst(nats_server, "dlq", "replay", str(entry.number))).exit_code == 0
        (again,) = await _entries(cli, 1)
        assert again.number > entry.number
        assert again.letter.model_copy(update={"buried_at": letter.buried_at}) == letter

        mended = True
        before = await cli.connection.api(f"$JS.API.CONSUMER.INFO.{PROV}.intake-work")
        assert (await catalyst(nats_server, "dlq", "replay", str(again.number))).exit_code == 0
        await until(reserved)
        after = await cli.connection.api(f"$JS.API.CONSUMER.INFO.{PROV}.intake-work")
        assert before["num_pending"] == after["num_pending"] == 1
        assert await DeadLetters(cli.connection).entries() == []
        unknown = await catalyst(nats_server, "dlq", "drop", str(again.number))
        assert (unknown.exit_code, "there is no dead letter" in unknown.output) == (4, True)


async def test_try_again_never_buries_but_an_error_at_the_tenth_delivery_does(bus_of: BusOf) -> None:
    intake, dns, cli = await bus_of("intake"), await bus_of("dns-pdm"), await bus_of("cli")
    deliveries = 0

    async def stumble(_event: Any, _history: History) -> list[Fact]:
        nonlocal deliveries
        deliveries += 1
        if deliveries <= 11:
            raise TryAgain("not yet", after=timedelta(milliseconds=1))
        raise RuntimeError("a bug")

    async with hosted(dns, dns_pdm(stumble)):
        await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=History(ABOUT.sovereign))
        (entry,) = await _entries(cli, 1)
    assert (entry.letter.attempts, entry.letter.reason) == (12, "RuntimeError: a bug")


async def test_what_looks_like_a_secret_is_neither_kept_nor_shown_and_still_replayable(
    bus_of: BusOf, nats_server: NatsServer
) -> None:
    dns, cli, admin = await bus_of("dns-pdm"), await bus_of("cli"), await bus_of("admin")
    handled = asyncio.Event()

    async def reserve(_event: Any, _history: History) -> list[Fact]:
        handled.set()
        return []

    async with hosted(dns, dns_pdm(reserve)):
        # The bus refuses to publish this; somebody's own client did.
        headers = {"X-Token": CANARY, "Authorization": "Basic something"}
        await admin.connection.store(SUBJECT, json.dumps({"token": CANARY}).encode(), headers, scan=False)
        (entry,) = await _entries(cli, 1)
        assert entry.letter.payload is None
        assert "cloud token" in entry.letter.withheld
        for command in (
            ["list"],
            ["list", "--json"],
            ["show", str(entry.number)],
            ["show", str(entry.number), "--json"],
        ):
            told = await catalyst(nats_server, "dlq", *command)
            assert (told.exit_code, CANARY in told.output) == (0, False), told.output
        assert "not kept" in told.output or entry.letter.withheld in told.output
        assert (await catalyst(nats_server, "dlq", "replay", str(entry.number))).exit_code == 0
        (again,) = await _entries(cli, 1)
        assert again.letter.payload_sha256 == entry.letter.payload_sha256
        assert (await catalyst(nats_server, "dlq", "drop", str(again.number))).exit_code == 0
    assert not handled.is_set()
    dead_letters = nats_server.directory / "jetstream" / "CATALYST" / "streams" / "DLQ"
    assert not [f for f in dead_letters.rglob("*") if f.is_file() and CANARY.encode() in f.read_bytes()]


async def test_what_another_client_terminated_or_ran_out_of_deliveries_is_listed_and_replayable(bus_of: BusOf) -> None:
    intake, dns, cli, admin = [await bus_of(user) for user in ("intake", "dns-pdm", "cli", "admin")]
    await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=History(ABOUT.sovereign))
    client = admin.connection.client
    inbox = client.new_inbox()
    pulled = await client.subscribe(inbox)
    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{PROV}.dns-pdm-work", b'{"batch":1}', reply=inbox)
    await (await pulled.next_msg(timeout=10)).term()
    temporary = {
        "name": "limited",
        "ack_policy": "explicit",
        "max_deliver": 1,
        "ack_wait": 10**6,
        "durable_name": "limited",
    }
    await admin.connection.api(f"$JS.API.CONSUMER.CREATE.{PROV}.limited", {"stream_name": PROV, "config": temporary})
    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{PROV}.limited", b'{"batch":1}', reply=inbox)
    await pulled.next_msg(timeout=10)
    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{PROV}.limited", b'{"batch":1,"expires":1000000000}', reply=inbox)
    async with asyncio.timeout(60):
        entries = await _entries(cli, 2)
    kinds = {entry.kind: entry for entry in entries}
    assert set(kinds) == {"terminated", "max-deliveries"}
    ended = kinds["terminated"]
    assert (ended.letter.consumer, ended.letter.stream, ended.letter.sequence) == ("dns-pdm-work", PROV, 1)

    async def reserve(_event: Any, _history: History) -> list[Fact]:
        return [RESERVED]

    async def reserved() -> bool:
        return (await intake.journal.fold(ABOUT.sovereign)).last(DnsReserved) is not None

    async with hosted(dns, dns_pdm(reserve)):
        await DeadLetters(cli.connection).replay(ended.number)
        await until(reserved)
