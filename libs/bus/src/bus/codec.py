"""Events to bytes and back, and what is said of a message that is none."""

import json
from typing import Any

from pydantic import ValidationError

from contracts.catalogue import FACTS
from contracts.event import Event, Fact, envelope_of


class Unreadable(ValueError):
    """The message is no event that this release reads; the text is for the person who reads the DLQ."""


def encode(event: Event[Any]) -> bytes:
    """Structured CloudEvents JSON."""
    return event.model_dump_json(exclude_none=True).encode()


def decode(subject: str, payload: bytes) -> Event[Any]:
    """The event in a message on ``<domain>.<fact>.<id>``; Unreadable says what is wrong in a sentence."""
    domain, _, rest = subject.partition(".")
    name, _, about = rest.partition(".")
    fact = FACTS.get(f"{domain}.{name}")
    if fact is None:
        raise Unreadable(f"subject {subject!r} belongs to no event that this release knows")
    try:
        event = envelope_of(fact).model_validate_json(payload)
    except ValidationError as error:
        raise Unreadable(_why(payload, fact, error)) from None
    if event.subject != about:
        raise Unreadable(f"the event is about {event.subject!r}, its subject says {about!r}")
    return event


def _why(payload: bytes, fact: type[Fact], error: ValidationError) -> str:
    try:
        body = json.loads(payload)
    except ValueError as broken:
        return f"not JSON: {broken}"
    if not isinstance(body, dict) or body.get("specversion") != "1.0":
        return "JSON, but no CloudEvent: specversion 1.0 is missing (structured mode, application/cloudevents+json)"
    said = body.get("type")
    if said != fact.type_name():
        return f"type {said!r} is unknown here; this release reads {fact.type_name()!r} on this subject"
    fields = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'event'}: {item['msg']}" for item in error.errors()[:8])
    return f"the event does not fit its schema: {fields}"
