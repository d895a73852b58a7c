"""The way of a call: route, token, rate, fault, body, handler, journal, ledger, answer.

The order is the real API's where it is known: an unknown path is a 404 before the token is read, a wrong method is not;
a read-only token is refused before its body is looked at.
"""

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from multidict import MultiDict, MultiDictProxy

from sandbox.hetzner.actions import Actions
from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import ApiError
from sandbox.hetzner.faults import Faults, Refusal, Step
from sandbox.hetzner.ledger import Ledger
from sandbox.hetzner.rate import Bucket
from sandbox.hetzner.state import Cloud, Effect
from sandbox.hetzner.tokens import Holder, Tokens

SERVER: Final = "catalyst-sandbox (simulated Hetzner Cloud)"
BASE: Final = "/v1"

Inspect = Callable[[web.Request, web.Response], None]
"""Looks at every answer before it leaves; tests hold each against the official document."""

_NO_QUERY: Final = MultiDictProxy[str](MultiDict())
_NOBODY: Final = Holder("", "read", "")
_encoded: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Api:
    """Everything below `/v1`."""

    def __init__(
        self,
        *,
        cloud: Cloud,
        actions: Actions,
        routes: Routes,
        tokens: Tokens,
        faults: Faults,
        ledger: Ledger,
        new_bucket: Callable[[], Bucket],
        inspect: Inspect | None = None,
    ) -> None:
        self._cloud = cloud
        self._actions = actions
        self._routes = routes
        self._templates = frozenset(template for _, template in routes)
        self._tokens = tokens
        self._faults = faults
        self._ledger = ledger
        self._new_bucket = new_bucket
        self._inspect = inspect
        self.buckets: dict[str, Bucket] = {}

    def bucket(self, project: str) -> Bucket:
        """The rate limit of a project; calls without a known token share one of their own."""
        found = self.buckets.get(project)
        if found is None:
            found = self.buckets[project] = self._new_bucket()
        return found

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        template, ids = _template(request.path)
        passage = _Passage(template, ids)
        try:
            answer = await self._answered(request, passage)
        except ApiError as refusal:
            answer = Answer(refusal.status, refusal.envelope())
            passage.code = refusal.code
        except _Unanswered:
            return self._hung_up(request, passage, "none")
        if passage.step is not None and passage.step.drop_reply:
            passage.status = answer.status
            return self._hung_up(request, passage, "dropped")
        response = self._response(request, passage, answer)
        passage.status = answer.status
        self._note(request.method, passage, "sent")
        if self._inspect is not None:
            self._inspect(request, response)
        return response

    async def _answered(self, request: web.Request, passage: "_Passage") -> Answer:
        if passage.template not in self._templates:
            raise ApiError("not_found", "api route not found")
        passage.holder = holder = self._holder(request)
        passage.bucket = self.bucket(holder.project)
        if not passage.bucket.take():
            raise ApiError("rate_limit_exceeded", "limit of requests per hour reached")
        handler = self._routes.get((request.method, passage.template))
        if handler is None:
            raise ApiError("method_not_allowed", "method not allowed")
        await self._scripted(request.method, passage)
        mutates = request.method != "GET"
        if mutates and holder.access == "read":
            raise ApiError("token_readonly", "the token is only allowed to perform GET requests")
        query = request.query if request.query_string else _NO_QUERY
        raw = _decoded(await request.read()) if mutates and request.can_read_body else None
        call = Call(self._cloud.project(holder.project), self._actions, passage.ids, query, raw)
        fault = passage.step.action if passage.step else None
        self._actions.script = fault.script() if fault else None
        try:
            return handler(call)
        finally:
            self._actions.script = None
            passage.effects = self._cloud.commit()

    def _holder(self, request: web.Request) -> Holder:
        header = request.headers.get("Authorization", "")
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token:
            self.bucket("").take()
            raise ApiError("unauthorized", "token is required")
        holder = self._tokens.holder(token)
        if holder is None:
            self.bucket("").take()
            raise ApiError("unauthorized", "the token you have provided is invalid")
        return holder

    async def _scripted(self, method: str, passage: "_Passage") -> None:
        found = self._faults.step_for(method, passage.template, passage.holder.project)
        if found is None:
            return
        passage.fault, passage.step = found
        step = passage.step
        if step.delay_s:
            await asyncio.sleep(step.delay_s)
        if step.hang_s is not None:
            await asyncio.sleep(step.hang_s)
            raise _Unanswered
        if step.answer is not None:
            raise _refusal(step.answer)

    def _response(self, request: web.Request, passage: "_Passage", answer: Answer) -> web.Response:
        bucket = passage.bucket or self.bucket("")
        headers = bucket.headers()
        headers["Server"] = SERVER
        headers["X-Correlation-Id"] = os.urandom(8).hex()
        if answer.pages is not None:
            headers["Link"] = _link(request, answer.pages)
        if answer.body is None:
            return web.Response(status=answer.status, headers=headers)
        headers["Content-Type"] = "application/json"
        return web.Response(status=answer.status, body=_encoded(answer.body).encode(), headers=headers)

    def _hung_up(self, request: web.Request, passage: "_Passage", reply: str) -> web.Response:
        self._note(request.method, passage, reply)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=499)

    def _note(self, method: str, passage: "_Passage", reply: str) -> None:
        self._ledger.call(
            project=passage.holder.project,
            mark=passage.holder.mark,
            method=method,
            path=passage.template,
            ids=passage.ids,
            status=passage.status,
            code=passage.code,
            fault=passage.fault,
            reply=reply,
            effects=passage.effects,
        )


class _Unanswered(Exception):
    """The connection is to end without an answer."""


class _Passage:
    """What becomes known of a call on its way."""

    __slots__ = ("bucket", "code", "effects", "fault", "holder", "ids", "status", "step", "template")

    def __init__(self, template: str, ids: list[int]) -> None:
        self.template = template
        self.ids = ids
        self.holder = _NOBODY
        self.bucket: Bucket | None = None
        self.fault: int | None = None
        self.step: Step | None = None
        self.status = 0
        self.code: str | None = None
        self.effects: list[Effect] = []


def _template(path: str) -> tuple[str, list[int]]:
    ids: list[int] = []
    parts = path[len(BASE) :].split("/")
    for index, part in enumerate(parts):
        if part.isdecimal():
            ids.append(int(part))
            parts[index] = "{id}"
    return "/".join(parts), ids


def _decoded(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        raise ApiError("json_error", "invalid JSON input in request body") from None


def _refusal(answer: Refusal) -> ApiError:
    return ApiError(answer.code, answer.message, answer.details, status=answer.http_status)


def _link(request: web.Request, pages: tuple[int | None, int | None, int, int]) -> str:
    previous, following, last, per_page = pages
    url = request.url.with_query(None)
    marks = (("prev", previous), ("next", following), ("last", last))
    return ", ".join(f'<{url}?page={n}&per_page={per_page}>; rel="{rel}"' for rel, n in marks if n is not None)
