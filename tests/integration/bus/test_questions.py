"""Questions on a real server: told apart are nobody, too slow, try again, and an error of ours; replicas are listed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bus import Answer, Bus, NobodyAnswers, TooSlow, TryAgain, answer
from bus.questions import serve
from contracts.catalogue import CATALOGUE
from contracts.drafting import CatalogueReply
from contracts.questions import Asker, Nothing, OfSovereign
from tests.conftest import BusOf

REPLY = CatalogueReply(regions=(), server_types=(), components=(), pool_domains=("omani.works",))
Handler = Callable[[Nothing, Asker | None], Awaitable[CatalogueReply]]


async def answering(bus_of: BusOf, handle: Handler, *, replica: str = "one") -> Bus:
    intake = await bus_of("intake", replica=replica)
    await serve(intake.connection, "intake", [answer(CATALOGUE, handle)])
    await intake.connection.round_trip_s()
    return intake


async def told(_question: Nothing, _asker: Asker | None) -> CatalogueReply:
    return REPLY


async def busy(_question: Nothing, _asker: Asker | None) -> CatalogueReply:
    raise TryAgain("others kept writing")


async def broken(_question: Nothing, _asker: Asker | None) -> CatalogueReply:
    OfSovereign.model_validate({})
    return REPLY


async def test_an_answer_comes_as_its_model(bus_of: BusOf) -> None:
    await answering(bus_of, told)
    assert await (await bus_of("gateway")).ask(CATALOGUE, Nothing()) == REPLY


async def test_nobody_and_slow_are_told_apart(bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    with pytest.raises(NobodyAnswers):
        await gateway.ask(CATALOGUE, Nothing())
    asked, never = asyncio.Event(), asyncio.Event()

    async def thinks(_question: Nothing, _asker: Asker | None) -> CatalogueReply:
        asked.set()
        await never.wait()
        return REPLY

    await answering(bus_of, thinks)
    with pytest.raises(TooSlow) as slow:
        await gateway.ask(CATALOGUE, Nothing(), deadline=timedelta(seconds=0.3))
    assert asked.is_set()
    assert (slow.value.trouble.code, slow.value.trouble.retryable) == ("too-slow", True)
    never.set()


@pytest.mark.parametrize(("handle", "code", "retryable"), [(busy, "too-slow", True), (broken, "internal", True)])
async def test_what_an_answer_fails_on_is_never_blamed_on_the_asker(
    bus_of: BusOf, handle: Handler, code: str, retryable: bool
) -> None:
    await answering(bus_of, handle)
    with pytest.raises(Answer) as refused:
        await (await bus_of("gateway")).ask(CATALOGUE, Nothing())
    assert (refused.value.trouble.code, refused.value.trouble.retryable) == (code, retryable)
    assert refused.value.trouble.owner == "us"


async def test_every_replica_is_listed_and_each_question_goes_to_one(bus_of: BusOf) -> None:
    answered: list[str] = []

    def by(replica: str) -> Handler:
        async def handle(_question: Nothing, _asker: Asker | None) -> CatalogueReply:
            answered.append(replica)
            return REPLY

        return handle

    for replica in ("one", "two"):
        await answering(bus_of, by(replica), replica=replica)
    gateway = await bus_of("gateway")
    for _ in range(20):
        await gateway.ask(CATALOGUE, Nothing())
    assert len(answered) == 20
    pings = await _pings(gateway, 2)
    assert {ping["name"] for ping in pings} == {"intake"}
    assert len({ping["id"] for ping in pings}) == 2


async def _pings(gateway: Bus, replicas: int) -> list[dict[str, str]]:
    """What ``nats micro ls`` asks: $SRV.PING, answered by each replica (ADR-32 of NATS)."""
    client = gateway.connection.client
    found: list[dict[str, str]] = []
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    await client.publish("$SRV.PING", reply=inbox)
    async with asyncio.timeout(20):
        while len(found) < replicas:
            found.append(json.loads((await subscription.next_msg(timeout=10)).data))
    await subscription.unsubscribe()
    return found
