"""OpenTelemetry over the bus: the context travels in headers, a delivery's span *links* to its producer's.

Linked, not parented: redeliveries and sagas of a day make a parent-child tree useless. Whether a message was sampled
is its producer's decision: one that was not passes its context on and records nothing, and so does a process without
an OpenTelemetry SDK.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanKind

_tracer = trace.get_tracer("catalyst.bus")


def inject(headers: dict[str, str]) -> None:
    """Add ``traceparent`` for the current span, when there is one."""
    propagate.inject(headers)


@contextmanager
def delivery_span(
    name: str, headers: Mapping[str, str] | None, *, kind: SpanKind = SpanKind.CONSUMER
) -> Iterator[Span]:
    """A span of its own, linked to the span that published the message; SpanKind.SERVER for a question."""
    producer = trace.INVALID_SPAN_CONTEXT
    if headers and "traceparent" in headers:
        producer = trace.get_current_span(propagate.extract(dict(headers))).get_span_context()
    unsampled = producer.is_valid and not producer.trace_flags.sampled
    if unsampled or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        if not producer.is_valid:
            yield trace.INVALID_SPAN  # nothing to pass on, nothing to record
            return
        with trace.use_span(NonRecordingSpan(producer)) as passed_on:
            yield passed_on
        return
    links = [Link(producer)] if producer.is_valid else []
    with _tracer.start_as_current_span(name, context=context.Context(), kind=kind, links=links) as span:
        yield span
