"""Asking and answering: request/reply by ``nats.micro`` services, typed on both sides.

Replicas of a service share a queue group, so each question is answered once; ``nats micro ls`` lists them. A refusal
travels as a ``Problem`` with the error header of the micro protocol (NATS ADR-32).
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import nats.errors
import nats.micro
from nats.micro.request import Request
from nats.micro.service import Service as MicroService
from nats.micro.service import ServiceConfig
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from bus.connection import Connection, NoRoom
from bus.outcome import Answer, NobodyAnswers, TooSlow, TryAgain
from bus.routing import Answering
from bus.tracing import delivery_span, inject
from contracts.catalogue import Question
from contracts.errors import FieldError, trouble
from contracts.event import Model
from contracts.questions import Asker, Problem

log = logging.getLogger(__name__)

ASKER_HEADER = "X-Asker"
"""Who asks, as the edge authenticated it (JSON). Only edges may publish to ``ask.*``."""
_ERROR_CODE = "Nats-Service-Error-Code"
_ERROR = "Nats-Service-Error"


async def serve(connection: Connection, service: str, answers: Iterable[Answering]) -> MicroService:
    """Answer questions until the returned service is stopped."""
    config = ServiceConfig(name=service, version="1.0.0", description=f"Catalyst Zero {service}")
    micro = await nats.micro.add_service(connection.client, config)
    for item in answers:
        await micro.add_endpoint(
            name=item.question.name, subject=item.question.subject, queue_group=service, handler=_endpoint(item)
        )
    return micro


def _endpoint(item: Answering) -> Any:
    async def handle(request: Request) -> None:
        with delivery_span(item.question.subject, request.headers, kind=SpanKind.SERVER):
            await _answer(item, request)

    return handle


async def _answer(item: Answering, request: Request) -> None:
    """Read, handle, reply; every failure becomes a problem that the asker can read."""
    subject = item.question.subject
    try:
        asker, question = _read(item.question, request)
    except ValidationError as error:
        what = trouble("invalid-request", attempted=f"read {subject}", on=item.question.name)
        await _refuse(request, Problem(trouble=what, errors=field_errors(error)))
        return
    try:
        reply = await item.handle(question, asker)
    except Answer as refused:
        await _refuse(request, Problem(trouble=refused.trouble, errors=refused.errors))
    except NoRoom as full:
        what = trouble("stream-almost-full", attempted=f"answer {subject}", on=item.question.service, message=str(full))
        await _refuse(request, Problem(trouble=what))
    except TryAgain as again:
        what = trouble("too-slow", attempted=f"answer {subject}", on=item.question.service, message=again.reason)
        await _refuse(request, Problem(trouble=what))
    except Exception:
        log.exception("question failed", extra={"action": "question-error", "subject": subject})
        what = trouble("internal", attempted=f"answer {subject}", on=item.question.service)
        await _refuse(request, Problem(trouble=what))
    else:
        await request.respond(reply.model_dump_json().encode())


def _read(question: Question, request: Request) -> tuple[Asker | None, Model]:
    """Who asks and what; ValidationError says which fields are wrong."""
    headers = request.headers or {}
    asker = Asker.model_validate_json(headers[ASKER_HEADER]) if ASKER_HEADER in headers else None
    return asker, question.request.model_validate_json(request.data or b"{}")


async def _refuse(request: Request, problem: Problem) -> None:
    status = "400" if problem.trouble.owner == "user" else "500"
    await request.respond_error(status, problem.trouble.code, data=problem.model_dump_json().encode())


def field_errors(error: ValidationError, *, prefix: str = "") -> tuple[FieldError, ...]:
    """Every wrong field at once, without the values (they may be secrets)."""
    found = []
    for item in error.errors(include_input=False, include_url=False):
        path = ".".join(str(part) for part in item["loc"])
        message = str(item["msg"]).removeprefix("Value error, ")
        code = message.split(":", 1)[0] if ":" in message and " " not in message.split(":", 1)[0] else item["type"]
        found.append(FieldError(field=f"{prefix}{path}", code=code, message=message))
    return tuple(found)


async def ask(
    connection: Connection,
    question: Question,
    request: Model,
    *,
    asker: Asker | None = None,
    deadline: timedelta | None = None,
) -> Any:
    """Ask; the typed reply. Raises Answer when it is refused, NobodyAnswers, TooSlow."""
    seconds = deadline.total_seconds() if deadline else question.deadline_s
    headers = {ASKER_HEADER: asker.model_dump_json()} if asker else {}
    inject(headers)
    try:
        reply = await connection.request(
            question.subject, request.model_dump_json().encode(), timeout_s=seconds, headers=headers or None
        )
    except nats.errors.NoRespondersError:
        raise NobodyAnswers(question.subject) from None
    except TimeoutError:
        raise TooSlow(question.subject, seconds) from None
    if (reply.headers or {}).get(_ERROR_CODE):
        try:
            problem = Problem.model_validate_json(reply.data)
        except ValidationError:
            text = (reply.headers or {}).get(_ERROR, "")
            raise Answer(
                trouble("internal", attempted=f"ask {question.subject}", on=question.service, message=text)
            ) from None
        raise Answer(problem.trouble, problem.errors)
    return question.reply.model_validate_json(reply.data)


__all__ = ["ASKER_HEADER", "ask", "field_errors", "serve"]
