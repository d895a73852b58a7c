"""OpenTelemetry over the bus: the context travels in headers, a delivery's span *links* to its producer's.

Linked, not parented: redeliveries and sagas of a day make a parent-child tree useless. Whether a message was sampled
is its producer's decision: one that was not passes its context on and records nothing, and so does a process without
an OpenTelemetry SDK.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanKind

_tracer = trace.get_tracer("catalyst.bus")
_NO_PARENT: Final = context.Context()
_UNRECORDED: Final[AbstractContextManager[Span]] = nullcontext(trace.INVALID_SPAN)


def inject(headers: dict[str, str]) -> None:
    """Add ``traceparent`` for the current span, when there is one."""
    propagate.inject(headers)


def delivery_span(
    name: str, headers: Mapping[str, str] | None, *, kind: SpanKind = SpanKind.CONSUMER
) -> AbstractContextManager[Span]:
    """A span of its own, linked to the span that published the message; SpanKind.SERVER for a question.

    What nobody samples costs as little as possible: without a producer's context there is nothing to pass on either.
    """
    producer = trace.INVALID_SPAN_CONTEXT
    if headers and "traceparent" in headers:
        producer = trace.get_current_span(propagate.extract(dict(headers))).get_span_context()
    if producer.is_valid and not producer.trace_flags.sampled:
        return trace.use_span(NonRecordingSpan(producer))
    links = [Link(producer)] if producer.is_valid else ()
    span = _tracer.start_span(name, context=_NO_PARENT, kind=kind, links=links)
    if span.is_recording():
        return trace.use_span(span, end_on_exit=True)
    return trace.use_span(NonRecordingSpan(producer)) if producer.is_valid else _UNRECORDED
