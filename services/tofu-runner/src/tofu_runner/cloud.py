"""The cloud pass-through: what OpenTofu and the SDK take for the cloud's API, for one run, on loopback.

It exchanges the run's own 64-character credential for the real token, which lives in this process only. It writes down
each mutation before it goes out and after it came back, and refuses mutations once the lease is not sure: whoever
takes over knows what was asked of the cloud, and a paused worker does no harm. Bodies pass unread, but for the error
code of a refusal. ``upstream`` counts and paces the calls, ``looks`` saves those that would tell nothing new.
"""

import hmac
import json
import logging
from collections.abc import Callable

from aiohttp import web

from tofu_runner.looks import ActionWatch, Reads
from tofu_runner.mutations import Mutations, NotRecorded
from tofu_runner.stateversions import Held
from tofu_runner.upstream import Answer, NoAnswer, NotAllowed, Throttled, Upstream

log = logging.getLogger(__name__)

READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PAGING = frozenset({"page", "per_page", "sort"})
_MAX_REQUEST = 1024 * 1024


class PassThrough:
    """Routes of one run's view of the cloud."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        credential: str,
        lease: Held,
        mutations: Mutations,
        poll_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._expected = f"Bearer {credential}"
        self._lease = lease
        self._mutations = mutations
        self._reads = Reads(self._look, clock)
        self._actions = ActionWatch(self._look, every_s=poll_s, moved=self._reads.changed, clock=clock)
        self.account = upstream.account
        self.budget = upstream.budget

    def routes(self) -> list[web.RouteDef]:
        """To be mounted on a server of this run."""
        return [web.route("*", "/v1/{path:.*}", self._pass)]

    async def _look(self, path: str) -> Answer:
        return await self._upstream.ask("GET", path)

    async def _pass(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get("Authorization", ""), self._expected):
            return _problem(401, "unauthorized", "this is not the credential of this run")
        if (request.content_length or 0) > _MAX_REQUEST:
            return _problem(413, "invalid_input", "the request is larger than any of ours")
        body = await request.read()
        try:
            answer = await (self._read(request) if request.method in READS else self._mutate(request, body))
        except (Throttled, NotAllowed, NotRecorded, NoAnswer) as error:
            return self._unanswered(request, error)
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

    def _unanswered(self, request: web.Request, error: Exception) -> web.Response:
        """In a form that makes the SDK stop, or repeat, as it should."""
        match error:
            case Throttled():
                return _problem(403, "throttled", "the project's call budget is used up")
            case NotRecorded():
                return _problem(403, "lease_lost", f"the change could not be written down first: {error}")
            case NoAnswer():
                return self._no_answer(request, str(error))
        return _problem(403, "lease_lost", "the lease of this run is not sure any more: nothing may be changed")

    async def _read(self, request: web.Request) -> Answer:
        path = _below_v1(request)
        ids = request.query.getall("id", [])
        if path.startswith("actions?") and ids and set(request.query) <= _PAGING | {"id"}:
            return await self._actions.answer([int(number) for number in ids if number.isdecimal()])
        return await self._reads.get(path)

    async def _mutate(self, request: web.Request, body: bytes) -> Answer:
        if not self._lease.sure:
            raise NotAllowed
        number = await self._mutations.asked(request.method, request.rel_url.path, _name_in(body))
        if not self._lease.sure:
            raise NotAllowed
        self.account.mutations += 1
        headers = {name: request.headers[name] for name in ("User-Agent", "Content-Type") if name in request.headers}
        try:
            answer = await self._upstream.ask(
                request.method, _below_v1(request), body, headers, allowed=lambda: self._lease.sure
            )
        except Throttled:
            # It never left: nothing is open.
            await self._mutations.answered(number, 0, {})
            raise
        finally:
            self._reads.changed()
        await self._mutations.answered(number, answer.status, _ids_in(answer))
        return answer

    def _no_answer(self, request: web.Request, kind: str) -> web.Response:
        """The cloud did not answer. A read may be repeated; of a change the inventory tells what became."""
        what = f"{request.method} {request.rel_url.path}"
        log.warning("cloud did not answer", extra={"action": "cloud-silent", "what": what, "why": kind})
        if request.method in READS:
            self.account.refused(what, "bad_gateway", kind)
            return _problem(502, "bad_gateway", "the cloud did not answer")
        self.account.refused(what, "timeout", kind)
        # Not with a status or code that the SDK repeats: a second POST could make a second server.
        return _problem(
            500, "server_error", "the cloud's answer to a change was lost; an inventory will tell what became of it"
        )


def _below_v1(request: web.Request) -> str:
    return request.rel_url.raw_path_qs.removeprefix("/v1/")


def _problem(status: int, code: str, message: str) -> web.Response:
    body = {"error": {"code": code, "message": message, "details": None}}
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")


def _name_in(body: bytes) -> str:
    """The name of what is to be made; nothing else of the body is kept."""
    try:
        name = json.loads(body).get("name", "")
    except (ValueError, AttributeError):
        return ""
    return str(name)[:80]


def _ids_in(answer: Answer) -> dict[str, int]:
    """The ids in an answer, such as ``{"server": 42, "action": 7}``."""
    try:
        parsed = json.loads(answer.body)
    except ValueError:
        return {}
    if not isinstance(parsed, dict):
        return {}
    return {k: v["id"] for k, v in parsed.items() if isinstance(v, dict) and isinstance(v.get("id"), int)}
