"""What every layer shares: a real broker per session folder, connected buses, and a loop that must not block."""

import contextlib
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bus import Bus, connect
from bus.server import NatsServer, running_server

BusOf = Callable[..., Awaitable[Bus]]


@pytest.fixture
async def nats_server(tmp_path: pathlib.Path) -> AsyncIterator[NatsServer]:
    """A real nats-server of the test's own: accounts, keys and topology as in production."""
    async with running_server(tmp_path / "nats", sync="2m") as server:
        yield server


@pytest.fixture
async def bus_of(nats_server: NatsServer) -> AsyncIterator[BusOf]:
    """Connect as a service: ``bus = await bus_of("intake")``; more keywords are settings."""
    async with contextlib.AsyncExitStack() as stack:

        async def connected(service: str, **settings: object) -> Bus:
            return await stack.enter_async_context(connect(nats_server.settings(service, **settings), service))

        yield connected
