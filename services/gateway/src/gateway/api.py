"""``/api/v1`` from the catalogue: each question with a path is a route, by one table and without a route of its own.

The path, then the query (GET) or the JSON body fill the request model; the caller is stamped; the reply or the refusal
goes back. What differs between questions is only how the body becomes the request: ``_SHAPES`` names those few.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from contracts.catalogue import (
    DECOMMISSION,
    PREFLIGHT,
    PRICES,
    QUESTIONS,
    REGISTRAR,
    REPROVISION,
    RETRY,
    SSH,
    SUBMIT,
    TOKEN,
    Question,
)
from contracts.event import Model
from contracts.identity import sovereign_id
from contracts.openapi import path_fields
from contracts.questions import Accepted, Asker, Submit
from contracts.request import SealedSecret
from gateway.access import OwnerOf, caller_of, require, require_own
from gateway.limits import Limit
from gateway.problems import invalid, refuse
from gateway.sealing import CLOUD_TOKEN, REGISTRAR_TOKEN, Asking, Sealing

Body = dict[str, Any]
DRAFT: Final = "draft"
"""What a secret is bound to that is only tried."""


@dataclass(frozen=True)
class Api:
    """What the routes stand on."""

    asking: Asking
    sealing: Sealing
    owner_of: OwnerOf
    commands: Limit

    def routes(self) -> list[web.RouteDef]:
        """One per question that HTTP offers; the node door has its own."""
        return [
            web.route(question.method, question.path, self._handler(question))
            for question in QUESTIONS
            if question.method and question.path and question.role != "node"
        ]

    def _handler(self, question: Question) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            return await self._answer(question, request)

        return handle

    async def _answer(self, question: Question, request: web.Request) -> web.Response:
        asker = await self._authorise(question, request)
        given = dict(request.query) if question.method == "GET" else await json_object(request)
        given.update(request.match_info)
        if asker is not None and question in _SHAPES:
            given = await _SHAPES[question](self, given, asker, request)
        try:
            wanted = question.request.model_validate(given)
        except ValidationError as error:
            raise invalid(error, attempted=question.meaning.rstrip(".").lower(), on=question.subject) from None
        reply: Model = await self.asking.ask(question, wanted, asker=asker)
        return answer(reply)

    async def _authorise(self, question: Question, request: web.Request) -> Asker | None:
        if question.role == "anyone":
            caller = caller_of(request)
            return caller.asker if caller else None
        caller = require(request, question.role)
        if question.method != "GET":
            self.commands.take(caller.account.name, attempted=f"{request.method} {request.path}")
        if "sovereign" in path_fields(question.path or ""):
            await require_own(caller, request.match_info["sovereign"], self.owner_of)
        return caller.asker


def answer(reply: Model) -> web.Response:
    """A reply as JSON; an accepted command says where its Sovereign is."""
    headers = {"Cache-Control": "no-store"}
    status = HTTPStatus.OK
    if isinstance(reply, Accepted):
        status = HTTPStatus.ACCEPTED
        headers["Location"] = f"/api/v1/sovereigns/{reply.sovereign}"
    return web.Response(text=reply.model_dump_json(), status=status, content_type="application/json", headers=headers)


async def json_object(request: web.Request) -> Body:
    """The body as one JSON object; empty is an empty one."""
    attempted = f"{request.method} {request.path}"
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise refuse("unreadable-body", attempted=attempted, message="The body is no JSON.") from None
    if not isinstance(body, dict):
        raise refuse("unreadable-body", attempted=attempted, message="The body is no JSON object.")
    return body


async def _submit(api: Api, given: Body, asker: Asker, request: web.Request) -> Body:
    body = {name: value for name, value in given.items() if name != "credentials"}
    secrets = body.get("secrets", [])
    sealed = _sealed(secrets)
    sovereign = _named_in(body)
    if given.get("credentials") and sovereign:
        fresh = await api.sealing.credentials(given["credentials"], sovereign)
        body["secrets"] = _with(secrets, fresh)
        sealed |= {secret.purpose: secret for secret in fresh}
    if sovereign:
        await api.sealing.check_cloud_token(sealed, asker)
    key = request.headers.get("Idempotency-Key") or body.get("idempotency_key")
    return Submit(body=body, idempotency_key=key if isinstance(key, str) else None).model_dump()


async def _with_secrets(api: Api, given: Body, asker: Asker, request: web.Request) -> Body:
    credentials = given.pop("credentials", None)
    if credentials:
        fresh = await api.sealing.credentials(credentials, request.match_info["sovereign"])
        given["secrets"] = _with(given.get("secrets"), fresh)
    await api.sealing.check_cloud_token(_sealed(given.get("secrets", [])), asker)
    return given


async def _trial(api: Api, given: Body, _asker: Asker, _request: web.Request) -> Body:
    """One secret that is only tried, perhaps before the Sovereign has a name: sealed to a draft then."""
    credentials = given.pop("credentials", None)
    named = _named_in({"domain": {"fqdn": given.pop("fqdn", "")}})
    if credentials:
        fresh = await api.sealing.credentials(credentials, named or DRAFT)
        wanted = REGISTRAR_TOKEN if "registrar" in given else CLOUD_TOKEN
        given["secret"] = next((secret.model_dump() for secret in fresh if secret.purpose == wanted), None)
    return given


async def _preflight(api: Api, given: Body, _asker: Asker, _request: web.Request) -> Body:
    """A whole request that is only looked at."""
    if credentials := given.pop("credentials", None):
        fresh = await api.sealing.credentials(credentials, _named_in(given) or DRAFT)
        given["secrets"] = _with(given.get("secrets"), fresh)
    return given


_SHAPES: Final[Mapping[Question, Callable[[Api, Body, Asker, web.Request], Awaitable[Body]]]] = {
    SUBMIT: _submit,
    RETRY: _with_secrets,
    SSH: _with_secrets,
    DECOMMISSION: _with_secrets,
    REPROVISION: _with_secrets,
    PREFLIGHT: _preflight,
    TOKEN: _trial,
    PRICES: _trial,
    REGISTRAR: _trial,
}


def _with(secrets: object, fresh: list[SealedSecret]) -> list[Any]:
    """What came sealed, if it is a list at all, and what was sealed here."""
    return [*(secrets if isinstance(secrets, list) else []), *(secret.model_dump() for secret in fresh)]


def _sealed(secrets: object) -> dict[str, SealedSecret]:
    """Those that are well formed; intake names the others."""
    found: dict[str, SealedSecret] = {}
    for row in secrets if isinstance(secrets, list | tuple) else ():
        try:
            secret = SealedSecret.model_validate(row)
        except ValidationError:
            continue
        found[secret.purpose] = secret
    return found


def _named_in(body: Body) -> str | None:
    """The Sovereign that a request names; None when the name is wrong, which intake tells with everything else."""
    domain = body.get("domain")
    fqdn = domain.get("fqdn") if isinstance(domain, dict) else None
    try:
        return sovereign_id(fqdn) if isinstance(fqdn, str) else None
    except ValueError:
        return None
