"""A gateway on a real broker: its own HTTP port, accounts in a folder, events appended as the services say them.

Who answers questions is a stand-in that the test gives; everything else is what production runs.
"""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from argon2 import PasswordHasher

from bus import Bus, run_service
from bus.questions import serve
from bus.routing import Answering
from bus.server import free_port
from contracts.account import ACCOUNTS_FILE, LINKS_FOLDER, Account, Accounts, ApiToken, LoginLink, digest_of
from contracts.catalogue import ENTRIES
from contracts.event import Fact
from gateway.app import gateway
from gateway.settings import Settings
from tests.conftest import BusOf
from tests.unit.gateway import story

TOKEN = "czt_ada"
OTHER = "czt_mallory"
VIEWER = "czt_vera"
OPERATOR = "czt_olga"


def write_accounts(folder: pathlib.Path, *, link: str = "once-only") -> None:
    password = PasswordHasher(time_cost=1, memory_cost=8 * 1024).hash("correct horse battery staple")
    people = (
        Account(name="ada", owner="demo", roles=("operator", "approver"), password=password),
        Account(name="vera", owner="demo", roles=("viewer",)),
        Account(name="olga", owner="demo", roles=("operator",)),
        Account(name="mallory", owner="other", roles=("admin",)),
    )
    tokens = tuple(
        ApiToken(account=name, sha256=digest_of(token))
        for name, token in (("ada", TOKEN), ("vera", VIEWER), ("olga", OPERATOR), ("mallory", OTHER))
    )
    (folder / LINKS_FOLDER).mkdir(parents=True, exist_ok=True)
    (folder / ACCOUNTS_FILE).write_text(Accounts(accounts=people, tokens=tokens).model_dump_json())
    soon = LoginLink(account="ada", not_after=datetime.now(UTC) + timedelta(minutes=5))
    (folder / LINKS_FOLDER / f"{digest_of(link)}.json").write_text(soon.model_dump_json())


@dataclass
class Edge:
    """A running gateway and what a test needs around it."""

    url: str
    bus_of: BusOf
    http: aiohttp.ClientSession
    settings: Settings
    _sayers: dict[str, Bus] = field(default_factory=dict)

    async def say(self, *facts: Fact, **who: Any) -> None:
        """Append facts, each as the service that says it."""
        about = story.about(**who)
        for fact in facts:
            service = ENTRIES[fact.fact].said_by
            if service not in self._sayers:
                self._sayers[service] = await self.bus_of(service)
            journal = self._sayers[service].journal
            await journal.append([fact], about, cause=story.CAUSE, after=await journal.fold(about.sovereign))

    def bearer(self, token: str = TOKEN) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, *, token: str = TOKEN, **more: Any) -> aiohttp.ClientResponse:
        headers = {**self.bearer(token), **more.pop("headers", {})}
        return await self.http.get(f"{self.url}{path}", headers=headers, **more)

    async def post(self, path: str, body: object = None, *, token: str = TOKEN, **more: Any) -> aiohttp.ClientResponse:
        headers = {**self.bearer(token), **more.pop("headers", {})}
        return await self.http.post(f"{self.url}{path}", json=body, headers=headers, **more)

    @contextlib.asynccontextmanager
    async def socket(self, *, token: str = TOKEN, **more: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        headers = {**self.bearer(token), **more.pop("headers", {})}
        async with self.http.ws_connect(f"{self.url}/ws", headers=headers, **more) as socket:
            yield socket


EdgeOf = Callable[..., Awaitable[Edge]]
StandIn = Callable[..., Awaitable[None]]


async def until(socket: aiohttp.ClientWebSocketResponse, kind: str, *, within_s: float = 60) -> list[dict[str, Any]]:
    """Messages up to and with the first of this type; heartbeats are left out unless wanted."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(within_s):
        while True:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, f"the socket ended: {message}"
            body = json.loads(message.data)
            if body["type"] != "heartbeat" or kind == "heartbeat":
                found.append(body)
            if body["type"] == kind:
                return found


async def sse(
    response: aiohttp.ClientResponse, *, until: Callable[[dict[str, str]], bool], within_s: float = 60
) -> list[dict[str, str]]:
    """Records of an event stream up to and with the first for which ``until`` holds."""
    found: list[dict[str, str]] = []
    record: dict[str, str] = {}
    async with asyncio.timeout(within_s):
        async for line in response.content:
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                record[name] = value
                continue
            found.append(record)
            if until(record):
                return found
            record = {}
    raise AssertionError(f"the stream ended early: {found[-3:]}")


@pytest.fixture
async def edge_of(tmp_path: pathlib.Path, bus_of: BusOf) -> AsyncIterator[EdgeOf]:
    """Start gateways: ``edge = await edge_of()``; keywords are settings."""
    folder = tmp_path / "accounts"
    write_accounts(folder)
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        buses: list[Bus] = []

        async def started(replica: str = "gateway-1", **more: object) -> Edge:
            key = tmp_path / "session.key"
            key.write_bytes(b"k" * 32)
            port = more.pop("port", None) or free_port()
            fields: dict[str, object] = {
                "port": port,
                "accounts_dir": folder,
                "session_key_file": key,
                "heartbeat_s": 0.5,
            }
            bus = await bus_of("gateway", replica=replica)
            settings = Settings.model_validate({**bus.settings.model_dump(), **fields, **more})
            buses.append(bus)
            listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            async def serve_it() -> None:
                async with gateway(settings, bus) as service:
                    listening.set_result(f"http://127.0.0.1:{port}")
                    await run_service(service, bus)

            group.create_task(serve_it())
            return Edge(await asyncio.wait_for(listening, 60), bus_of, http, settings)

        yield started
        for bus in buses:
            bus.stopping.set()


@pytest.fixture
async def stand_in(bus_of: BusOf) -> AsyncIterator[StandIn]:
    """Stand in for whoever answers: ``await stand_in(answer(TOKEN, judge))``."""
    async with contextlib.AsyncExitStack() as stack:

        async def answering(*answers: Answering) -> None:
            for service in {item.question.service for item in answers}:
                bus = await bus_of(service)
                mine = [item for item in answers if item.question.service == service]
                micro = await serve(bus.connection, service, mine)
                stack.push_async_callback(micro.stop)

        yield answering


__all__ = ["OTHER", "TOKEN", "VIEWER", "Edge", "sse", "until"]
