"""OpenTelemetry over the bus: the context travels in headers, a delivery's span *links* to its producer's.

Linked, not parented: redeliveries and sagas of a day make a parent-child tree useless.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, Span, SpanKind

_tracer = trace.get_tracer("catalyst.bus")


def inject(headers: dict[str, str]) -> None:
    """Add ``traceparent`` for the current span, when there is one."""
    propagate.inject(headers)


@contextmanager
def delivery_span(name: str, headers: Mapping[str, str] | None) -> Iterator[Span]:
    """A consumer span, linked to the span that published the message."""
    links = []
    if headers and "traceparent" in headers:
        producer = trace.get_current_span(propagate.extract(dict(headers))).get_span_context()
        if producer.is_valid:
            links.append(Link(producer))
    with _tracer.start_as_current_span(name, kind=SpanKind.CONSUMER, links=links) as span:
        yield span
