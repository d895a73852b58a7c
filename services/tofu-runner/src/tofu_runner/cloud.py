"""The cloud pass-through: what OpenTofu and the SDK take for the cloud's API, for one run, on loopback.

It exchanges the run's own 64-character credential for the real token, which lives in this process only. It counts
every call, reads the ``RateLimit-*`` answers, writes down each mutation before it goes out and after it came back,
and refuses mutations once the lease is not sure: whoever takes over knows what was asked of the cloud, and a paused
worker does no harm. Bodies pass unread, but for the error code of a refusal.
"""

import asyncio
import hmac
import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from yarl import URL

from tofu_runner.mutations import Mutations, NotRecorded
from tofu_runner.stateversions import Held

log = logging.getLogger(__name__)

READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PASSED_BACK = ("Content-Type", "Link", "X-Correlation-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_MAX_REQUEST = 1024 * 1024
TOO_MANY = 429


@dataclass
class Account:
    """What the pass-through saw in this run."""

    calls: int = 0
    mutations: int = 0
    remaining: int | None = None
    """Calls left in the project's budget, as the cloud last said."""
    full_at: datetime | None = None
    """When that budget is whole again."""
    refusals: list[tuple[str, str, str]] = field(default_factory=list)
    """(method and path, error code, message) of each refused call, newest last, a hundred at most."""

    def read_budget(self, headers: Any) -> None:
        """Take the rate limit's headers, where the answer has them."""
        try:
            self.remaining = int(headers["RateLimit-Remaining"])
            self.full_at = datetime.fromtimestamp(int(headers["RateLimit-Reset"]), UTC)
        except (KeyError, ValueError, OverflowError):
            return


class PassThrough:
    """Routes of one run's view of the cloud."""

    def __init__(
        self,
        session: ClientSession,
        endpoint: str,
        *,
        token: str,
        credential: str,
        lease: Held,
        mutations: Mutations,
        timeout_s: float,
        patience_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._endpoint = endpoint.rstrip("/")
        self._authorization = f"Bearer {token}"
        self._expected = f"Bearer {credential}"
        self._lease = lease
        self._mutations = mutations
        self._timeout = ClientTimeout(total=timeout_s)
        self._patience_s = patience_s
        self._clock = clock
        self.account = Account()
        self.own_s = 0.0
        """Seconds spent in here, without the cloud's own."""

    def routes(self) -> list[web.RouteDef]:
        """To be mounted on a server of this run."""
        return [web.route("*", "/v1/{path:.*}", self._pass)]

    async def _pass(self, request: web.Request) -> web.Response:
        begun = self._clock()
        if not hmac.compare_digest(request.headers.get("Authorization", ""), self._expected):
            return _problem(401, "unauthorized", "this is not the credential of this run")
        if (request.content_length or 0) > _MAX_REQUEST:
            return _problem(413, "invalid_input", "the request is larger than any of ours")
        body = await request.read()
        self.account.calls += 1
        if request.method in READS:
            return await self._forward(request, body, begun)
        return await self._mutate(request, body, begun)

    async def _mutate(self, request: web.Request, body: bytes, begun: float) -> web.Response:
        if not self._lease.sure:
            return _lease_lost()
        try:
            number = await self._mutations.asked(request.method, request.rel_url.path, _name_in(body))
        except NotRecorded as error:
            return _problem(403, "lease_lost", f"the change could not be written down first: {error}")
        if not self._lease.sure:
            return _lease_lost()
        self.account.mutations += 1
        answer = await self._forward(request, body, begun)
        await self._mutations.answered(number, answer.status, _ids_in(answer))
        return answer

    async def _forward(self, request: web.Request, body: bytes, begun: float) -> web.Response:
        sent = self._clock()
        try:
            status, answer, passed = await self._ask(request, body)
            waited = 0.0
            while status == TOO_MANY:
                # Nothing was done, so the same call may go again; jittered, for every run of the project waits here.
                pause = 1.0 + random.random()  # noqa: S311 - jitter, no secret
                waited += pause
                if waited > self._patience_s:
                    return self._throttled(request)
                await asyncio.sleep(pause)
                if request.method not in READS and not self._lease.sure:
                    return _lease_lost()
                status, answer, passed = await self._ask(request, body)
        except (ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            return self._no_answer(request, type(error).__name__)
        back = self._clock()
        response = web.Response(status=status, body=answer, headers=passed)
        if status >= 400:  # noqa: PLR2004 - where errors begin
            self._note_refusal(request, answer)
        self.own_s += (sent - begun) + (self._clock() - back)
        return response

    async def _ask(self, request: web.Request, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """One call to the cloud, with the real token."""
        headers = {"Authorization": self._authorization, "Accept": "application/json"}
        for name in ("User-Agent", "Content-Type"):
            if name in request.headers:
                headers[name] = request.headers[name]
        url = URL(f"{self._endpoint}/{request.rel_url.raw_path_qs.removeprefix('/v1/')}", encoded=True)
        async with self._session.request(
            request.method, url, data=body or None, headers=headers, timeout=self._timeout, allow_redirects=False
        ) as reply:
            answer = await reply.read()
            passed = {name: reply.headers[name] for name in _PASSED_BACK if name in reply.headers}
            self.account.read_budget(passed)
            return reply.status, answer, passed

    def _throttled(self, request: web.Request) -> web.Response:
        """The project's budget is used up. With a code that the SDK does not repeat: the run lets go and waits."""
        message = "the project's call budget is used up"
        self._refusal(f"{request.method} {request.rel_url.path}", "rate_limit_exceeded", message)
        return _problem(403, "throttled", message)

    def _no_answer(self, request: web.Request, kind: str) -> web.Response:
        """The cloud did not answer. A read may be repeated; of a change the inventory tells what became."""
        what = f"{request.method} {request.rel_url.path}"
        log.warning("cloud did not answer", extra={"action": "cloud-silent", "what": what, "why": kind})
        if request.method in READS:
            self._refusal(what, "bad_gateway", kind)
            return _problem(502, "bad_gateway", "the cloud did not answer")
        self._refusal(what, "timeout", kind)
        # Not with a status or code that the SDK repeats: a second POST could make a second server.
        return _problem(
            500, "server_error", "the cloud's answer to a change was lost; an inventory will tell what became of it"
        )

    def _note_refusal(self, request: web.Request, answer: bytes) -> None:
        try:
            error = json.loads(answer)["error"]
            code, message = str(error["code"]), str(error["message"])
        except (ValueError, KeyError, TypeError):
            code, message = "", "an answer without an error object"
        self._refusal(f"{request.method} {request.rel_url.path}", code, message)

    def _refusal(self, what: str, code: str, message: str) -> None:
        self.account.refusals.append((what, code, message))
        del self.account.refusals[:-100]


def _problem(status: int, code: str, message: str) -> web.Response:
    body = {"error": {"code": code, "message": message, "details": None}}
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")


def _lease_lost() -> web.Response:
    return _problem(403, "lease_lost", "the lease of this run is not sure any more: nothing may be changed")


def _name_in(body: bytes) -> str:
    """The name of what is to be made; nothing else of the body is kept."""
    try:
        name = json.loads(body).get("name", "")
    except (ValueError, AttributeError):
        return ""
    return str(name)[:80]


def _ids_in(answer: web.Response) -> dict[str, int]:
    """The ids in an answer, such as ``{"server": 42, "action": 7}``."""
    try:
        parsed = json.loads(answer.body if isinstance(answer.body, bytes) else b"")
    except ValueError:
        return {}
    if not isinstance(parsed, dict):
        return {}
    return {k: v["id"] for k, v in parsed.items() if isinstance(v, dict) and isinstance(v.get("id"), int)}
