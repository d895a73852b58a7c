"""A sandbox per test, in the test's own loop, with every answer held against the official document."""

import asyncio
import contextlib
import pathlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from hcloud import Client
from openapi_core import OpenAPI

from sandbox.app import Sandbox, sandbox
from sandbox.settings import Settings

from . import official


@dataclass
class Cloud:
    """A running sandbox, with ways to talk to it."""

    up: Sandbox
    session: aiohttp.ClientSession
    witness: official.Witness
    tokens: dict[str, str] = field(default_factory=dict)

    async def token(self, project: str = "project-a", access: str = "read_write") -> str:
        key = f"{project}/{access}"
        if key not in self.tokens:
            self.tokens[key] = secrets.token_hex(32)
            body = {"token": self.tokens[key], "project": project, "access": access}
            status, _ = await self.control("POST", "/tokens", body)
            assert status == 201
        return self.tokens[key]

    async def control(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, self.up.control + path, json=body) as response:
            return response.status, await response.json() if response.status != 204 else None

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, raw: bytes | None = None
    ) -> tuple[int, Any]:
        status, answer, _ = await self.call_for_headers(method, path, body, token=token, raw=raw)
        return status, answer

    async def call_for_headers(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, raw: bytes | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        given = await self.token() if token is None else token
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        data: dict[str, Any] = {"data": raw} if raw is not None else {"json": body} if body is not None else {}
        async with self.session.request(method, self.up.endpoint + path, headers=headers, **data) as response:
            answer = await response.json() if response.content_length else None
            return response.status, answer, dict(response.headers)

    async def made(self, path: str, body: Any) -> Any:
        """Create something and wait for its actions; the answer."""
        status, answer = await self.call("POST", path, body)
        assert status == 201, answer
        await self.settled(answer)
        return answer

    async def settled(self, answer: Any) -> None:
        """Wait until every action of an answer has ended well."""
        found = [answer.get("action"), *answer.get("actions", ()), *answer.get("next_actions", ())]
        for action in filter(None, found):
            ended = await self.ended(action["id"])
            assert ended["status"] == "success", ended

    async def ended(self, action_id: int) -> Any:
        async with asyncio.timeout(10):
            while True:
                _, answer = await self.call("GET", f"/actions/{action_id}")
                if answer["action"]["status"] != "running":
                    return answer["action"]
                await asyncio.sleep(0.01)

    async def client(self, **how: Any) -> Client:
        """The official SDK; it blocks, so its calls go to a thread."""
        return Client(await self.token(), api_endpoint=self.up.endpoint, poll_interval=0.02, **how)


CloudAt = Callable[..., contextlib.AbstractAsyncContextManager[Cloud]]


@pytest.fixture(scope="session")
def document() -> OpenAPI:
    return official.load()


@pytest.fixture
def cloud_at(tmp_path: pathlib.Path, document: OpenAPI) -> CloudAt:
    """Bring a sandbox up with some settings: `async with cloud_at(rate_limit=5) as cloud`."""

    @contextlib.asynccontextmanager
    async def at(**settings: Any) -> AsyncIterator[Cloud]:
        witness = official.Witness(document)
        chosen = Settings(**{"dir": tmp_path / "sandbox", "action_s": 0.02, **settings})
        async with sandbox(chosen, inspect=witness.look) as up, aiohttp.ClientSession() as session:
            yield Cloud(up, session, witness)
        assert witness.looked_at
        assert witness.complaints == []

    return at


@pytest.fixture
async def cloud(cloud_at: CloudAt) -> AsyncIterator[Cloud]:
    async with cloud_at() as running:
        yield running
