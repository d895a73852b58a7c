"""The cloud itself, asked with the real token: every call counted, paced by the project's budget, timed out."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from tofu_runner.budget import Budget

_PASSED_BACK = ("Content-Type", "Link", "X-Correlation-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_TOO_MANY = 429
_ERRORS = 400


@dataclass(frozen=True)
class Answer:
    """What the cloud answered."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Throttled(Exception):
    """The project's calls are used up, for longer than a run waits holding its place."""


class NoAnswer(Exception):
    """The cloud did not answer; of a change nobody knows whether it happened."""


class NotAllowed(Exception):
    """While the call waited its turn, this run lost the right to make it."""


@dataclass
class Account:
    """What was asked of the cloud in this run."""

    calls: int = 0
    mutations: int = 0
    full_at: datetime | None = None
    """When the project's budget is whole again, as the cloud last said."""
    refusals: list[tuple[str, str, str]] = field(default_factory=list)
    """(method and path, error code, message) of each refused call, newest last, a hundred at most."""

    def refused(self, what: str, code: str, message: str) -> None:
        """Remember a refusal."""
        self.refusals.append((what, code, message))
        del self.refusals[:-100]


class Upstream:
    """One run's way to the cloud."""

    def __init__(
        self,
        session: ClientSession,
        endpoint: str,
        token: str,
        budget: Budget,
        *,
        timeout_s: float,
        patience_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._session, self._endpoint = session, endpoint.rstrip("/")
        self._authorization = f"Bearer {token}"
        self.budget = budget
        self._timeout = ClientTimeout(total=timeout_s)
        self._patience_s, self._clock = patience_s, clock
        self.account = Account()
        self.spent_s = 0.0
        """Seconds spent in here: the cloud's own, and waits for the budget."""

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        allowed: Callable[[], bool] = lambda: True,
    ) -> Answer:
        """One call below ``/v1``; raises Throttled, NoAnswer or NotAllowed when there is no answer to pass on."""
        begun = self._clock()
        try:
            while True:
                pause = await self.budget.take()
                if not pause:
                    answer = await self._send(method, path, body, headers or {})
                    if answer.status != _TOO_MANY:
                        self._note(f"{method} /v1/{path.partition('?')[0]}", answer)
                        return answer
                    # Nothing was done, so the same call may go again, when the book has calls again.
                    self.budget.heard(self.budget.book.limit, 0)
                    pause = 1.0
                pause += random.random()  # noqa: S311 - jitter, no secret
                if self._clock() + pause > begun + self._patience_s:
                    self.account.refused(f"{method} /v1/{path}", "rate_limit_exceeded", str(Throttled.__doc__))
                    raise Throttled
                await asyncio.sleep(pause)
                if not allowed():
                    raise NotAllowed
        finally:
            self.spent_s += self._clock() - begun

    async def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.account.calls += 1
        sent = {"Authorization": self._authorization, "Accept": "application/json", **headers}
        url = URL(f"{self._endpoint}/{path}", encoded=True)
        try:
            async with self._session.request(
                method, url, data=body or None, headers=sent, timeout=self._timeout, allow_redirects=False
            ) as reply:
                raw = await reply.read()
                passed = {name: reply.headers[name] for name in _PASSED_BACK if name in reply.headers}
                self._read_limits(passed)
                return Answer(reply.status, raw, passed)
        except (ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise NoAnswer(type(error).__name__) from None

    def _read_limits(self, headers: Mapping[str, str]) -> None:
        try:
            self.budget.heard(int(headers["RateLimit-Limit"]), int(headers["RateLimit-Remaining"]))
            self.account.full_at = datetime.fromtimestamp(int(headers["RateLimit-Reset"]), UTC)
        except (KeyError, ValueError, OverflowError):
            return

    def _note(self, what: str, answer: Answer) -> None:
        if answer.status < _ERRORS:
            return
        try:
            error = json.loads(answer.body)["error"]
            code, message = str(error["code"]), str(error["message"])
        except (ValueError, KeyError, TypeError):
            code, message = "", "an answer without an error object"
        self.account.refused(what, code, message)
