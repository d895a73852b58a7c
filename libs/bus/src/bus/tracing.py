"""OpenTelemetry over the bus: the context travels in headers, a delivery's span *links* to its producer's.

Linked, not parented: redeliveries and sagas of a day make a parent-child tree useless. Whether a message was sampled
is its producer's decision: one that was not passes its context on as it came and records nothing, and so does a
process without an OpenTelemetry SDK. Source: W3C Trace Context, ``traceparent``.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Link, SpanKind

_tracer = trace.get_tracer("catalyst.bus")
_HEADER: Final = "traceparent"
_NO_PARENT: Final = context.Context()
_UNRECORDED: Final[AbstractContextManager[object]] = nullcontext()
_passing: ContextVar[str] = ContextVar("passing", default="")


def inject(headers: dict[str, str]) -> None:
    """Add ``traceparent``: of the current span, else of the delivery that is handled, when there is one."""
    if unsampled := _passing.get():
        headers[_HEADER] = unsampled
    else:
        propagate.inject(headers)


def delivery_span(
    name: str, headers: Mapping[str, str] | None, *, kind: SpanKind = SpanKind.CONSUMER
) -> AbstractContextManager[object]:
    """A span of its own, linked to the span that published the message; SpanKind.SERVER for a question.

    What nobody samples costs as little as possible: its header is passed on without being read.
    """
    parent = headers.get(_HEADER, "") if headers else ""
    if parent.endswith("-00"):
        return _Passing(parent)
    producer = trace.INVALID_SPAN_CONTEXT
    if headers and parent:
        producer = trace.get_current_span(propagate.extract(dict(headers))).get_span_context()
        if producer.is_valid and not producer.trace_flags.sampled:
            return _Passing(parent)
    links = [Link(producer)] if producer.is_valid else ()
    span = _tracer.start_span(name, context=_NO_PARENT, kind=kind, links=links)
    if span.is_recording():
        return trace.use_span(span, end_on_exit=True)
    return _Passing(parent) if producer.is_valid else _UNRECORDED


class _Passing:
    """While a message is handled that nobody samples: whatever it publishes carries the same context."""

    __slots__ = ("_parent", "_token")

    def __init__(self, parent: str) -> None:
        self._parent = parent

    def __enter__(self) -> None:
        self._token: Token[str] = _passing.set(self._parent)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _passing.reset(self._token)
