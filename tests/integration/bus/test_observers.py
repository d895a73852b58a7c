"""An observer hears every fact about a Sovereign by one pattern, and nothing else: the server sees to that."""

import asyncio
from contextlib import suppress
from uuid import uuid4

from bus import Answer, TryAgain
from bus.connection import open_connection
from bus.server import NatsServer
from contracts import About, History
from contracts.catalogue import NAME
from contracts.questions import Asker, Name
from contracts.sovereign import SovereignCancelRequested
from contracts.topology import DOOR, OBSERVER
from tests.conftest import BusOf
from tests.unit.intake.test_life import REQUESTED

DEMO = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
OTHER = About(sovereign="other_omani_works", owner="acme", life=1, run=1)


async def test_one_pattern_hears_all_facts_of_one_sovereign_and_no_pattern_hears_more(
    nats_server: NatsServer, bus_of: BusOf
) -> None:
    observer = await open_connection(nats_server.settings(OBSERVER), OBSERVER)
    heard: dict[str, list[str]] = {}
    for pattern in ("*.*.demo_omani_works", "ask.>", "timer.>", "$KV.>", "live.>", "log.>", "_INBOX.>", ">"):
        heard[pattern] = []

        async def take(message: object, pattern: str = pattern) -> None:
            heard[pattern].append(str(getattr(message, "subject", "")))

        await observer.client.subscribe(pattern, cb=take)
    await observer.client.flush()

    intake, gateway = await bus_of("intake"), await bus_of("gateway")
    with suppress(Answer, TryAgain):  # nobody answers; the question itself travels
        await gateway.ask(NAME, Name(fqdn="demo.omani.works"), asker=Asker(actor="ann", owner="acme"))
    await intake.connection.client.publish("log.demo_omani_works.node.1", b"{}")
    for about in (OTHER, DEMO):
        read = await intake.journal.append([REQUESTED], about, cause=uuid4(), after=History(about.sovereign))
        await intake.journal.append([SovereignCancelRequested()], about, cause=uuid4(), after=read)
    last = "sovereign.cancel-requested.demo_omani_works"
    async with asyncio.timeout(30):
        while not (last in heard[">"] and last in heard["*.*.demo_omani_works"]):
            await asyncio.sleep(0.01)
    of_demo = ["sovereign.requested.demo_omani_works", last]
    of_other = [subject.replace("demo", "other") for subject in of_demo]
    assert heard.pop("*.*.demo_omani_works") == of_demo
    assert heard.pop(">") == [*of_other, *of_demo]
    assert not any(heard.values()), heard

    # It says nothing either, and has no JetStream.
    before = await intake.journal.last_sequence()
    for subject in (DOOR, "sovereign.ready.demo_omani_works", "ask.intake.submit", "$JS.API.STREAM.INFO.PROV"):
        await observer.client.publish(subject, b"{}")
    await observer.client.flush()
    await observer.client.close()
    assert await intake.journal.last_sequence() == before
    info = await (await bus_of("admin")).connection.api("$JS.API.STREAM.INFO.INBOX")
    assert info["state"]["messages"] == 0
