"""Every refusal as a problem document (RFC 9457): what happened, whose it is, what to do, every wrong field."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from bus import Answer
from contracts.codes import FaultOwner
from contracts.errors import FieldError, Trouble, trouble
from contracts.openapi import PROBLEM_TYPE, ProblemDocument

log = logging.getLogger(__name__)

_STATUS: Final[dict[str, int]] = {
    "login-required": 401,
    "login-failed": 401,
    "login-refused": 401,
    "node-unauthorized": 401,
    "not-allowed": 403,
    "cross-origin": 403,
    "hand-in-refused": 403,
    "unknown-sovereign": 404,
    "no-such-page": 404,
    "not_found": 404,
    "method-not-allowed": 405,
    "fqdn-taken": 409,
    "run-active": 409,
    "idempotency-conflict": 409,
    "immutable-field": 409,
    "not-now": 409,
    "plan-stale": 409,
    "resume-unknown": 409,
    "message-too-large": 413,
    "unreadable-body": 400,
    "too-many-requests": 429,
    "internal": 500,
    "stream-almost-full": 503,
    "nobody-answers": 503,
    "login-provider-unreachable": 503,
    "dns-unreachable": 503,
    "cluster-unreachable": 503,
    "too-slow": 504,
}
_BY_OWNER: Final = {FaultOwner.USER: 422, FaultOwner.CLOUD: 502, FaultOwner.US: 500}


class Problem(Exception):
    """Refuse this call."""

    def __init__(self, why: Trouble, errors: Sequence[FieldError] = (), *, retry_after_s: float | None = None) -> None:
        super().__init__(why.code)
        self.trouble, self.errors, self.retry_after_s = why, tuple(errors), retry_after_s


def refuse(code: str, *, attempted: str, on: str = "", message: str = "") -> Problem:
    """A problem of a registered code."""
    return Problem(trouble(code, attempted=attempted, on=on or attempted, message=message))


def status_of(why: Trouble) -> int:
    """The HTTP status for a trouble: by its code, else by whose fault it is."""
    return _STATUS.get(why.code, _BY_OWNER[why.owner])


def document(why: Trouble, errors: Sequence[FieldError] = ()) -> ProblemDocument:
    """The body of a refusal."""
    status = status_of(why)
    return ProblemDocument(
        type=f"urn:catalyst-zero:problem:{why.code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=why.message or f"Could not {why.attempted}.",
        code=why.code,
        owner=why.owner,
        retryable=why.retryable,
        next_step=why.next_step,
        remedy=why.remedy,
        on=why.on,
        errors=tuple(errors),
    )


def response(problem: Problem) -> web.Response:
    """The problem as an HTTP answer."""
    body = document(problem.trouble, problem.errors)
    headers = {"Cache-Control": "no-store"}
    if body.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="catalyst-zero"'
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(problem.retry_after_s)))
    return web.Response(
        text=body.model_dump_json(), status=body.status, content_type=PROBLEM_TYPE, headers=headers, charset="utf-8"
    )


def field_errors(error: ValidationError) -> tuple[FieldError, ...]:
    """What pydantic found, without the rejected input: it might be a secret."""
    return tuple(
        FieldError(
            field=".".join(str(part) for part in row["loc"]) or "body",
            code=row["type"].replace("_", "-"),
            message=row["msg"],
        )
        for row in error.errors(include_url=False, include_input=False, include_context=False)
    )


def invalid(error: ValidationError, *, attempted: str, on: str) -> Problem:
    """Every wrong field at once."""
    return Problem(trouble("invalid-request", attempted=attempted, on=on), field_errors(error))


def _of_http(error: web.HTTPException, request: web.Request) -> Problem | None:
    asked = f"{request.method} {request.path}"
    if error.status == HTTPStatus.NOT_FOUND:
        return refuse("no-such-page", attempted=asked)
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return refuse("method-not-allowed", attempted=asked)
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return refuse("message-too-large", attempted=asked)
    if error.status >= HTTPStatus.BAD_REQUEST:
        return refuse("unreadable-body", attempted=asked, message=error.reason)
    return None


def middleware(
    page: Callable[[web.Request, Problem], web.Response | None],
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Outermost: whatever goes wrong inside leaves as a page for a person or a problem document, never a traceback."""

    @web.middleware
    async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            found = problem
        except Answer as refused:
            found = Problem(refused.trouble, refused.errors)
        except web.HTTPException as error:
            known = _of_http(error, request)
            if known is None:
                raise
            answer = page(request, known) or response(known)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        except (ConnectionResetError, TimeoutError):
            raise
        except Exception:
            log.exception("A call failed", extra={"method": request.method, "path": request.path})
            found = refuse("internal", attempted=f"{request.method} {request.path}")
        return page(request, found) or response(found)

    return problems
