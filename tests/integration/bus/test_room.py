"""A stream that fills up: said in time, refused for what is new, waited for by what runs, nothing acked is lost."""

import contextlib
import logging
from typing import Any
from uuid import uuid4

import pytest

from bus import Answer, Bus, NoRoom
from bus.sampling import Room, Sampler
from contracts import About, Fact, History
from contracts.catalogue import CANCEL, SUBMIT
from contracts.dns import DnsReserved
from contracts.questions import Asker, Command, Submit
from contracts.sovereign import SovereignCancelled
from contracts.topology import PROV
from intake.app import intake as intake_service
from intake.settings import Settings
from tests.conftest import BusOf
from tests.integration.bus.hosting import dns_pdm, hosted, until
from tests.requests import request_body
from tests.unit.intake.test_life import REQUESTED

OPERATOR = Asker(actor="olga", owner="acme", roles=("operator",))
RESERVED = DnsReserved(zone="demo.omani.works.", nameservers=())


def about(number: int) -> About:
    return About(sovereign=f"s{number}_omani_works", owner="acme", life=1, run=1)


async def _request(bus: Bus, number: int) -> None:
    sovereign = about(number).sovereign
    await bus.journal.append([REQUESTED], about(number), cause=uuid4(), after=History(sovereign))


async def _limit(admin: Bus, *, used_share: float) -> None:
    """Give the audit trail just so much room that this share of it is used now."""
    info = await admin.connection.api(f"$JS.API.STREAM.INFO.{PROV}")
    config = info["config"] | {"max_bytes": int(info["state"]["bytes"] / used_share)}
    answer = await admin.connection.api(f"$JS.API.STREAM.UPDATE.{PROV}", config)
    assert "error" not in answer


async def _fill(bus: Bus) -> int:
    """Publish until there is no room; how many events were acknowledged in all."""
    for number in range(1, 50):
        with contextlib.suppress(NoRoom):
            await _request(bus, number)
            continue
        return number
    raise AssertionError("the stream never filled up")


async def test_at_90_percent_nothing_new_begins_and_what_runs_goes_on_to_its_end(bus_of: BusOf) -> None:
    bus, gateway, admin = [await bus_of(user) for user in ("intake", "gateway", "admin")]
    for number in range(60):
        await _request(bus, number)
    settings = Settings(**bus.settings.model_dump(exclude={"uvloop"}), pool_domains=("omani.works",))
    async with intake_service(settings, bus) as service, hosted(bus, service):
        await until(bus.presence.replicas)
        await gateway.ask(SUBMIT, Submit(body=request_body("early.omani.works")), asker=OPERATOR)
        await _limit(admin, used_share=0.92)
        with pytest.raises(Answer) as refused:
            await gateway.ask(SUBMIT, Submit(body=request_body("late.omani.works")), asker=OPERATOR)
        assert refused.value.trouble.code == "stream-almost-full"
        assert refused.value.trouble.retryable
        await gateway.ask(CANCEL, Command(sovereign="early_omani_works"), asker=OPERATOR)

        async def cancelled() -> bool:
            return (await bus.journal.fold("early_omani_works")).last(SovereignCancelled) is not None

        await until(cancelled)
        await _limit(admin, used_share=0.5)
        late = await gateway.ask(SUBMIT, Submit(body=request_body("late.omani.works")), asker=OPERATOR)
        assert late.run == 1


async def test_from_70_percent_on_an_alarm_is_logged_once(bus_of: BusOf, caplog: pytest.LogCaptureFixture) -> None:
    bus, admin = await bus_of("intake"), await bus_of("admin")
    for number in range(5):
        await _request(bus, number)
    sampler = Sampler(bus.connection, bus.metrics, Room(bus.connection), ())
    with caplog.at_level(logging.ERROR):
        await _limit(admin, used_share=0.6)
        await sampler.sample()
        assert not caplog.records
        await _limit(admin, used_share=0.71)
        await sampler.sample()
        await sampler.sample()
    assert [record.percent for record in caplog.records] == [71.0]  # type: ignore[attr-defined]  # a field of ours
    assert bus.metrics.registry.get_sample_value("catalyst_audit_trail_used_ratio") == pytest.approx(0.71, abs=0.01)


async def test_a_full_stream_makes_publishers_wait_and_loses_nothing_that_was_acknowledged(
    bus_of: BusOf, caplog: pytest.LogCaptureFixture
) -> None:
    bus, dns, admin = [await bus_of(user) for user in ("intake", "dns-pdm", "admin")]
    await _request(bus, 0)
    await _limit(admin, used_share=0.3)
    acknowledged = await _fill(bus)

    tries = 0

    async def reserve(_event: Any, _history: History) -> list[Fact]:
        nonlocal tries
        tries += 1
        return [RESERVED]

    async def tried() -> bool:
        return tries >= acknowledged

    async def all_reserved() -> bool:
        found = [m async for m in bus.journal.everything("dns.reserved.*")]
        return len(found) == acknowledged

    await _limit(admin, used_share=1)
    with caplog.at_level(logging.WARNING):
        async with hosted(dns, dns_pdm(reserve)):
            await until(tried)
            info = await admin.connection.api(f"$JS.API.CONSUMER.INFO.{PROV}.dns-pdm-work")
            assert info["ack_floor"]["stream_seq"] == 0
            await _limit(admin, used_share=0.1)
            await until(all_reserved)
    assert any("the stream is full, its publishers wait" in record.message for record in caplog.records)
    info = await admin.connection.api(f"$JS.API.STREAM.INFO.{PROV}")
    assert info["state"]["messages"] == 2 * acknowledged


async def test_whoever_asks_while_the_stream_is_full_is_told_so(bus_of: BusOf) -> None:
    bus, gateway, admin = [await bus_of(user) for user in ("intake", "gateway", "admin")]
    settings = Settings(**bus.settings.model_dump(exclude={"uvloop"}), pool_domains=("omani.works",), full_share=1)
    async with intake_service(settings, bus) as service, hosted(bus, service):
        await until(bus.presence.replicas)
        await _request(bus, 0)
        await _limit(admin, used_share=0.999)
        with pytest.raises(Answer) as refused:
            await gateway.ask(SUBMIT, Submit(body=request_body("late.omani.works")), asker=OPERATOR)
        assert refused.value.trouble.code == "stream-almost-full"
