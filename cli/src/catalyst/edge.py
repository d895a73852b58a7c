"""The gateway's HTTP surface, as the command uses it: JSON calls, and event streams that resume by themselves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from bus import seal
from catalyst.failing import UNREACHABLE, Failure, unreachable
from catalyst.settings import CliSettings
from contracts.openapi import LogLine, ProblemDocument
from contracts.questions import KeysReply
from contracts.request import SealedSecret

_TRIES: Final = 60
_SILENCE_S: Final = 45.0
"""A stream without even a heartbeat for this long is opened again."""


@dataclass(frozen=True)
class Said:
    """One record of an event stream: a fact (``name`` is empty), a heartbeat, or the mark between history and live."""

    name: str
    id: str
    body: dict[str, Any]
    raw: str

    @property
    def sequence(self) -> int:
        """The stream sequence of a fact."""
        return int(self.id.rpartition("-")[2])


class Edge:
    """One session with a gateway."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self.url = http, url

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """A JSON call; Failure with the problem's words when it is refused."""
        raw = await self._answer(method, path, json=body, params=query, headers=headers)
        return json.loads(raw) if raw else None

    async def download(self, path: str) -> bytes:
        """A file; Failure with the problem's words when it is refused."""
        return await self._answer("GET", path)

    async def _answer(self, method: str, path: str, **more: Any) -> bytes:
        try:
            async with self._http.request(method, f"{self.url}{path}", **more) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(self.url, str(error) or type(error).__name__) from None
        if response.ok:
            return raw
        raise _failure(response.status, raw)

    async def events(self, sovereign: str, *, after: str = "") -> AsyncIterator[Said]:
        """History, then live, for ever; a broken connection is resumed after the last fact."""
        async for said in self._resumed(f"/api/v1/sovereigns/{sovereign}/events", after, lambda said: said.id):
            yield said

    async def log_lines(self, sovereign: str, *, after: str = "") -> AsyncIterator[LogLine]:
        """The newest log lines, then what comes, for ever; resumed in the same way."""

        def last_line(said: Said) -> str:
            lines = said.body.get("lines") if said.name == "log" else None
            return str(lines[-1]["id"]) if lines else ""

        async for said in self._resumed(f"/api/v1/sovereigns/{sovereign}/logs", after, last_line):
            if said.name == "log":
                for line in said.body["lines"]:
                    yield LogLine.model_validate(line)

    async def _resumed(self, path: str, after: str, place: Callable[[Said], str]) -> AsyncIterator[Said]:
        last, tries = after, 0
        while True:
            try:
                async for said in self._stream(path, last):
                    tries = 0
                    last = place(said) or last
                    yield said
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                tries += 1
                if tries > _TRIES:
                    raise unreachable(self.url, str(error) or "the stream was silent") from None
            await asyncio.sleep(min(5.0, 0.2 * 2 ** min(tries, 5)))

    async def _stream(self, path: str, after: str) -> AsyncIterator[Said]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE_S)
        async with self._http.get(f"{self.url}{path}", headers=headers, timeout=timeout) as response:
            if response.status >= 500:  # noqa: PLR2004 - a gateway that restarts: try again
                raise aiohttp.ClientConnectionError(f"HTTP {response.status}")
            if not response.ok:
                raise _failure(response.status, await response.read())
            record: dict[str, str] = {}
            while line := await response.content.readline():
                text = line.decode().rstrip("\n")
                if text:
                    name, _, value = text.partition(": ")
                    record[name] = value
                elif record:
                    if "data" in record:
                        raw = record["data"]
                        yield Said(record.get("event", ""), record.get("id", ""), json.loads(raw), raw)
                    record = {}

    async def seal(self, plaintext: bytes, *, reader: str, purpose: str, bound_to: str) -> SealedSecret:
        """Seal on this machine, to the reader's newest key."""
        keys = KeysReply.model_validate(await self.call("GET", f"/api/v1/keys/{reader}"))
        return seal(plaintext, to=keys.keys[0], reader=reader, purpose=purpose, bound_to=bound_to)


def _failure(status: int, raw: bytes) -> Failure:
    try:
        problem = ProblemDocument.model_validate_json(raw)
    except ValidationError:
        return Failure(f"the gateway answered HTTP {status}", "look at its log", code=UNREACHABLE)
    return Failure(f"{problem.detail} ({problem.code})", problem.next_step, errors=problem.errors)


@asynccontextmanager
async def edge(settings: CliSettings) -> AsyncIterator[Edge]:
    """A session with the gateway of these settings."""
    token = settings.token()
    headers = {"User-Agent": "catalyst"} | ({"Authorization": f"Bearer {token}"} if token else {})
    timeout = aiohttp.ClientTimeout(total=settings.timeout_s)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, read_bufsize=1024 * 1024) as http:
        yield Edge(http, settings.url.rstrip("/"))
