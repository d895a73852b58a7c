"""Requests over one inbox of our own, so that a refusal ends the wait at once.

A publish that the permissions forbid gets no answer: the server reports it as an error of the connection, and the
client's own request would sit out its timeout. The report has no code, only text, and the client lowers its case; it
is read here and nowhere else.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from bus.outcome import Denied

_VIOLATION = re.compile(r'permissions violation for (publish|subscription) .*?"([^"]+)"')
_NO_RESPONDERS = "503"


def violation_in(text: str) -> tuple[str, str] | None:
    """What a server's error forbids: ("publish" or "subscription", the subject in lower case), or None."""
    found = _VIOLATION.search(text.lower())
    return (found[1], found[2]) if found else None


class Replies:
    """Sends requests as one user and brings each its answer."""

    def __init__(self, client: Client, user: str) -> None:
        self._client = client
        self._user = user
        self._prefix = ""
        self._numbers = itertools.count()
        self._waiting: dict[str, tuple[str, asyncio.Queue[Msg | Denied]]] = {}

    async def open(self) -> None:
        """Listen for answers; once, as soon as the client is connected (it subscribes again after a reconnect)."""
        self._prefix = self._client.new_inbox()
        await self._client.subscribe(f"{self._prefix}.*", cb=self._arrived)

    async def request(self, subject: str, payload: bytes, *, timeout_s: float, headers: dict[str, str] | None) -> Msg:
        """The answer. Raises Denied, TimeoutError, and the client's NoRespondersError."""
        async with aclosing(self.answers(subject, payload, silence_s=timeout_s, headers=headers)) as answers:
            reply = await anext(answers)
        if not reply.data and (reply.headers or {}).get("Status") == _NO_RESPONDERS:
            raise nats.errors.NoRespondersError
        return reply

    async def answers(
        self, subject: str, payload: bytes, *, silence_s: float, headers: dict[str, str] | None = None
    ) -> AsyncGenerator[Msg, None]:
        """Every answer, until the caller closes this. Raises Denied, and TimeoutError after so long a silence."""
        inbox = f"{self._prefix}.{next(self._numbers)}"
        answers: asyncio.Queue[Msg | Denied] = asyncio.Queue()
        self._waiting[inbox] = (subject, answers)
        try:
            await self._client.publish(subject, payload, reply=inbox, headers=headers)
            while True:
                if answers.empty():
                    async with asyncio.timeout(silence_s):
                        answer = await answers.get()
                else:
                    answer = answers.get_nowait()
                if isinstance(answer, Denied):
                    raise answer
                yield answer
        finally:
            del self._waiting[inbox]

    def deny(self, subject: str) -> None:
        """The server refused us this subject: whoever waits for an answer to it need not wait longer."""
        for asked, answers in self._waiting.values():
            if asked.lower() == subject:
                answers.put_nowait(Denied(self._user, asked))

    async def _arrived(self, message: Msg) -> None:
        _, answers = self._waiting.get(message.subject, (None, None))
        if answers is not None:
            answers.put_nowait(message)
