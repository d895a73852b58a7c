"""The HTTP surface as an OpenAPI 3.1 document, derived from the catalogue of questions.

A question with a path is an operation: its request model gives path parameters, then query (GET) or body; its reply
model the answer; every refusal is a problem document (RFC 9457). The few routes that are reads of the stream and no
questions stand in ``READS``. The document is data: the gateway serves it, ``docs/openapi.json`` keeps it.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from contracts.catalogue import QUESTIONS, SUBMIT, Question
from contracts.errors import FieldError
from contracts.event import Model
from contracts.questions import Accepted
from contracts.request import SovereignRequest
from contracts.summary import Summary
from contracts.tofu import Cost
from contracts.view import Mark, View

PROBLEM_TYPE: Final = "application/problem+json"
MAX_BODY_BYTES: Final = 256 * 1024


class ProblemDocument(Model):
    """Why a call was refused (RFC 9457), with whose fault it is and what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str
    owner: str
    retryable: bool
    next_step: str
    remedy: str = ""
    on: str = ""
    errors: tuple[FieldError, ...] = ()


class Credentials(Model):
    """Secrets in clear, sealed by the gateway at once to the one service that opens them. Write only."""

    cloud_token: str | None = Field(default=None, min_length=1, max_length=200, json_schema_extra={"writeOnly": True})
    registrar_token: str | None = Field(
        default=None, min_length=1, max_length=2000, json_schema_extra={"writeOnly": True}
    )


class ListedPhase(Model):
    """A phase, as the list shows it."""

    name: str
    mark: Mark


class ListRow(Summary):
    """A line of the list: the read model's row in the words of the run page."""

    word: str
    sentence: str
    cost: Cost | None = None
    phases: tuple[ListedPhase, ...] = ()


class SovereignList(Model):
    """Every Sovereign that the caller may see; ``resume`` continues with what is said afterwards."""

    sovereigns: tuple[ListRow, ...]
    resume: str


class LogLine(Model):
    """A line that one of a Sovereign's controllers logged."""

    id: int = Field(description="Where to go on; lines that were said at once share it.")
    at: str
    source: str
    run: int
    text: str


class LogLines(Model):
    """The newest lines, oldest first."""

    lines: tuple[LogLine, ...]


class ServiceHealth(Model):
    """A service and its live replicas."""

    name: str
    replicas: tuple[str, ...]


class ConsumerHealth(Model):
    """What a consumer still has to do."""

    name: str
    pending: int
    ack_pending: int
    redelivered: int


class StreamHealth(Model):
    """A stream's size and its consumers; a limit of 0 bytes is none."""

    name: str
    messages: int
    bytes: int
    limit: int
    replicas: int
    first: int
    last: int
    consumers: tuple[ConsumerHealth, ...]
    filling_up: bool


class Health(Model):
    """How the services themselves are."""

    services: tuple[ServiceHealth, ...]
    streams: tuple[StreamHealth, ...]
    dead_letters: int


@dataclass(frozen=True)
class Read:
    """A route that reads the stream and is no question."""

    path: str
    name: str
    meaning: str
    reply: type[BaseModel] | None = None
    media: tuple[str, ...] = ("application/json",)
    query: tuple[tuple[str, str, str], ...] = ()
    """(name, JSON type, meaning)."""


READS: Final = (
    Read("/api/v1/sovereigns", "list", "Every Sovereign that you may see.", SovereignList),
    Read(
        "/api/v1/sovereigns/{sovereign}",
        "show",
        "A Sovereign as it is, or as it was.",
        View,
        query=(("at", "integer", "Stream sequence: the state at that moment."),),
    ),
    Read(
        "/api/v1/sovereigns/{sovereign}/events",
        "events",
        "What was said: history, then live (text/event-stream), or a page of it (JSON, NDJSON).",
        media=("text/event-stream", "application/x-ndjson", "application/json"),
        query=(
            ("from", "integer", "Only events after this stream sequence."),
            ("limit", "integer", "At most so many events (JSON and NDJSON)."),
        ),
    ),
    Read(
        "/api/v1/sovereigns/{sovereign}/logs",
        "logs",
        "Log lines, kept seven days: the newest (JSON, NDJSON), then what comes (text/event-stream).",
        LogLines,
        media=("application/json", "application/x-ndjson", "text/event-stream"),
        query=(
            ("from", "integer", "Only lines after this one."),
            ("limit", "integer", "At most so many lines (JSON and NDJSON)."),
            ("source", "string", "Only lines of this source (JSON and NDJSON)."),
        ),
    ),
    Read(
        "/api/v1/sovereigns/{sovereign}/bundle",
        "bundle",
        "The support bundle: one redacted archive with a signed list of its files.",
        media=("application/zip",),
    ),
    Read("/api/v1/health", "health", "Replicas, backlog, dead letters and sizes, for operators.", Health),
    Read("/api/v1/openapi.json", "openapi", "This document."),
)


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _refusals() -> dict[str, Any]:
    content = {PROBLEM_TYPE: {"schema": _reference(ProblemDocument)}}
    return {"4XX": {"description": "Refused; the problem says why and what to do.", "content": content},
            "5XX": {"description": "Not answered; the problem says why.", "content": content}}  # fmt: skip


def path_fields(path: str) -> tuple[str, ...]:
    """The parameters in a path, in order."""
    return tuple(re.findall(r"{(\w+)}", path))


def body_schema(question: Question, schemas: dict[str, Any]) -> dict[str, Any]:
    """What the HTTP body of a question looks like: its request without what the path and the edge give."""
    if question is SUBMIT:
        sent: dict[str, Any] = {"allOf": [_reference(SovereignRequest)]}
        sent["properties"] = {"credentials": _reference(Credentials)}
        return sent
    taken = set(path_fields(question.path or ""))
    whole = schemas[question.request.__name__]
    kept = {name: schema for name, schema in whole.get("properties", {}).items() if name not in taken}
    body = {"type": "object", "properties": kept}
    required = [name for name in whole.get("required", ()) if name not in taken]
    if "secret" in kept:
        kept["fqdn"] = {"type": "string", "description": "Whose token it will be, if that is known yet."}
        required.remove("secret")
    if "secret" in kept or "secrets" in kept:
        kept["credentials"] = _reference(Credentials)
    return {**body, "required": required} if required else body


def _parameters(question: Question, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    properties = schemas[question.request.__name__].get("properties", {})
    taken = path_fields(question.path or "")
    rows = [{"name": n, "in": "path", "required": True, "schema": properties.get(n, {"type": "string"})} for n in taken]
    if question.method == "GET":
        rows += [{"name": n, "in": "query", "schema": s} for n, s in properties.items() if n not in taken]
    if question is SUBMIT:
        rows.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 120}})
    return rows


def _success(question: Question) -> str:
    """A command that was accepted is not done yet."""
    return "202" if question.reply is Accepted else "200"


def _operation(question: Question, schemas: dict[str, Any]) -> dict[str, Any]:
    reply = {"application/json": {"schema": _reference(question.reply)}}
    operation: dict[str, Any] = {
        "operationId": f"{question.service}-{question.name}",
        "summary": question.meaning,
        "x-question": question.subject,
        "x-role": question.role,
        "parameters": _parameters(question, schemas),
        "responses": {_success(question): {"description": "The answer.", "content": reply}, **_refusals()},
    }
    if question.role == "anyone":
        operation["security"] = []
    elif question.role == "node":
        operation["security"] = [{"node": []}]
    if question.role == "node" and question.method == "PUT":
        body = {"application/yaml": {"schema": {"type": "string"}}}
        operation["requestBody"] = {"required": True, "content": body}
    elif question.method in ("POST", "PUT"):
        body = {"application/json": {"schema": body_schema(question, schemas)}}
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _read_operation(read: Read) -> dict[str, Any]:
    shape = _reference(read.reply) if read.reply else {}
    content = {media: {"schema": shape} if shape else {} for media in read.media}
    taken = path_fields(read.path)
    parameters = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in taken]
    parameters += [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": kind}}
        for name, kind, meaning in read.query
    ]
    return {
        "operationId": f"gateway-{read.name}",
        "summary": read.meaning,
        "parameters": parameters,
        "responses": {"200": {"description": "The answer.", "content": content}, **_refusals()},
    }


def document() -> dict[str, Any]:
    """The whole document; the same at every call."""
    models: dict[type[BaseModel], None] = dict.fromkeys((ProblemDocument, Credentials, SovereignRequest))
    models.update(dict.fromkeys(read.reply for read in READS if read.reply))
    for question in QUESTIONS:
        models.update(dict.fromkeys((question.request, question.reply)))
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = definitions["$defs"]
    paths: dict[str, dict[str, Any]] = {}
    for read in READS:
        paths.setdefault(read.path, {})["get"] = _read_operation(read)
    for question in QUESTIONS:
        if question.path and question.method:
            paths.setdefault(question.path, {})[question.method.lower()] = _operation(question, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Catalyst Zero",
            "version": "1",
            "description": "Provision Sovereigns: ask, watch, act. Every operation is a question on the bus as well.",
        },
        "security": [{"session": []}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "catalyst_session"},
                "token": {"type": "http", "scheme": "bearer"},
                "node": {"type": "http", "scheme": "bearer", "description": "A node's own token."},
            },
        },
    }
