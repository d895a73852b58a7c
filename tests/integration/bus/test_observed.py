"""What a service shows of itself: health, readiness, metrics, traces."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from bus import Bus, Refused, TryAgain, Wake, answer
from bus.server import NatsServer, free_port
from contracts import About, Fact, History
from contracts.catalogue import DELEGATION_CHECK, KEYS
from contracts.dns import DnsReserved
from contracts.questions import KeysReply, Nothing
from tests.conftest import BusOf
from tests.integration.bus.hosting import dns_pdm, hosted, nothing, until
from tests.unit.intake.test_life import REQUESTED

RESERVED = DnsReserved(zone="demo.omani.works.", nameservers=())


def about(number: int) -> About:
    return About(sovereign=f"s{number}_omani_works", owner="acme", life=1, run=1)


async def _request(intake: Bus, number: int) -> None:
    await intake.journal.append([REQUESTED], about(number), cause=uuid4(), after=History(about(number).sovereign))


class Page:
    """The health port of a service, as a probe sees it."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"{self.root}{path}") as response:
                    return response.status, await response.text()
            except aiohttp.ClientConnectionError:
                return 0, ""

    async def value(self, sample: str) -> float:
        _, text = await self.get("/metrics")
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(sample + " ")), -1)


async def test_each_consumer_is_measured_and_failing_handlers_make_the_service_unready_and_stop_the_pulling(
    bus_of: BusOf,
) -> None:
    port = free_port()
    dns = await bus_of("dns-pdm", health_port=port, brake_errors=2, brake_pause_s=600)
    intake, page = await bus_of("intake"), Page(port)
    seen: list[str] = []

    async def reserve(event: Any, _history: History) -> list[Fact]:
        seen.append(event.subject)
        number = int(event.subject[1])
        if number == 1 and seen.count(event.subject) == 1:
            raise TryAgain("not yet", after=timedelta(milliseconds=10))
        if number == 2:
            raise Refused("never")
        if number in {3, 4}:
            raise KeyError("a bug")
        return []

    async with hosted(dns, dns_pdm(reserve)):
        await until(lambda: _is(page, "/readyz", 200))
        assert (await page.get("/healthz"))[0] == 200
        for number in (1, 2):
            await _request(intake, number)
        of = 'consumer="dns-pdm-work"'
        await until(lambda: _equals(page, f'catalyst_deliveries_total{{{of},outcome="done"}}', 1))
        await until(lambda: _equals(page, f'catalyst_deliveries_total{{{of},outcome="buried"}}', 1))
        assert await page.value(f'catalyst_deliveries_total{{{of},outcome="again"}}') == 1
        assert await page.value(f"catalyst_redeliveries_total{{{of}}}") == 1
        assert await page.value(f"catalyst_buried_total{{{of}}}") == 1
        assert await page.value(f"catalyst_handler_seconds_count{{{of}}}") == 3
        assert await page.value(f"catalyst_pending{{{of}}}") >= 0
        assert await page.value("catalyst_audit_trail_used_ratio") >= 0

        for number in (3, 4):
            await _request(intake, number)
        await until(lambda: _is(page, "/readyz", 503))
        assert "handlers failed on 2 messages in a row" in (await page.get("/readyz"))[1]
        assert (await page.get("/healthz"))[0] == 200
        assert await page.value("catalyst_brake_engaged") == 1


async def _is(page: Page, path: str, status: int) -> bool:
    return (await page.get(path))[0] == status


async def _equals(page: Page, sample: str, wanted: float) -> bool:
    return await page.value(sample) == wanted


async def test_a_lost_lease_is_counted(bus_of: BusOf) -> None:
    runner, admin = await bus_of("tofu-runner", lease_renew_s=0.05), await bus_of("admin")
    async with asyncio.timeout(20), runner.leases.hold("demo_omani_works") as lease:
        await admin.kv("lease").delete(lease.key)
        await lease.lost.wait()
    assert runner.metrics.registry.get_sample_value("catalyst_leases_lost_total") == 1


async def test_a_service_without_its_consumer_or_its_server_is_not_ready(
    bus_of: BusOf, nats_server: NatsServer
) -> None:
    port, admin = free_port(), await bus_of("admin")
    await admin.connection.api("$JS.API.CONSUMER.DELETE.PROV.dns-pdm-command")
    dns, page = await bus_of("dns-pdm", health_port=port), Page(port)
    async with hosted(dns, dns_pdm(nothing)):
        await until(lambda: _is(page, "/readyz", 503))
        assert "missing: dns-pdm-command on PROV; run catalyst topology" in (await page.get("/readyz"))[1]
        await nats_server.stop(kill=True)

        async def disconnected() -> bool:
            return "not connected to the bus" in (await page.get("/readyz"))[1]

        await until(disconnected)
        await nats_server.start()
        await until(lambda: _connected(dns))


async def _connected(bus: Bus) -> bool:
    return bool(bus.connection.client.is_connected)


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    exporter.clear()
    return exporter


@pytest.fixture(scope="session")
def exporter() -> Iterator[InMemorySpanExporter]:
    """OpenTelemetry knows one provider per process, set once."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    yield memory
    provider.shutdown()


async def test_spans_of_deliveries_timers_and_questions_are_linked_to_whoever_caused_them(
    bus_of: BusOf, spans: InMemorySpanExporter
) -> None:
    intake, dns, gateway = [await bus_of(user) for user in ("intake", "dns-pdm", "gateway")]
    fired = asyncio.Event()

    async def reserve(_event: Any, _history: History) -> list[Any]:
        return [RESERVED, Wake(DELEGATION_CHECK, timedelta(milliseconds=1))]

    async def check(_fired: Any, _history: History) -> list[Fact]:
        fired.set()
        return []

    async def keys(_request: Nothing, _asker: Any) -> KeysReply:
        return KeysReply(service="dns-pdm", keys=())

    service = dns_pdm(reserve, timers=[(DELEGATION_CHECK, check)], answers=[answer(KEYS["dns-pdm"], keys)])
    tracer = trace.get_tracer("test")
    async with hosted(dns, service):
        with tracer.start_as_current_span("operator") as operator:
            await _request(intake, 1)
        await fired.wait()
        with tracer.start_as_current_span("edge") as edge:
            await gateway.ask(KEYS["dns-pdm"], Nothing())
        delivery, timer, question = await until(lambda: _finished(spans))
        assert delivery.kind is timer.kind is SpanKind.CONSUMER
        assert question.kind is SpanKind.SERVER
        assert [_linked(span) for span in (delivery, timer, question)] == [
            operator.get_span_context().span_id,
            delivery.context.span_id,
            edge.get_span_context().span_id,
        ]
        assert all(span.parent is None for span in (delivery, timer, question))
        (stored,) = [m async for m in _messages(intake, "dns.reserved.*")]
        assert f"{delivery.context.span_id:016x}" in stored["traceparent"]


async def _finished(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    named = {span.name: span for span in spans.get_finished_spans()}
    timer = f"timer.fire.dns-pdm.s1_omani_works.{DELEGATION_CHECK.name}"
    wanted = ("sovereign.requested.s1_omani_works", timer, KEYS["dns-pdm"].subject)
    return [named[name] for name in wanted] if set(wanted) <= set(named) else []


def _linked(span: ReadableSpan) -> int:
    (link,) = span.links
    return link.context.span_id


async def _messages(bus: Bus, subject: str) -> Any:
    from bus import reading

    async for message in reading.everything(bus.connection, "PROV", subject):
        yield message.headers


async def test_what_was_not_sampled_is_passed_on_and_not_recorded(bus_of: BusOf, spans: InMemorySpanExporter) -> None:
    intake, dns = await bus_of("intake"), await bus_of("dns-pdm")
    unsampled = SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=TraceFlags(0))

    async def reserve(_event: Any, _history: History) -> list[Fact]:
        return [RESERVED]

    async def reserved() -> bool:
        return (await intake.journal.fold(about(1).sovereign)).last(DnsReserved) is not None

    async with hosted(dns, dns_pdm(reserve)):
        with trace.use_span(NonRecordingSpan(unsampled)):
            await _request(intake, 1)
        await until(reserved)
    (headers,) = [m async for m in _messages(intake, "dns.reserved.*")]
    assert headers["traceparent"] == f"00-{0xABC:032x}-{0xDEF:016x}-00"
    assert spans.get_finished_spans() == ()
