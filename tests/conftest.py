"""What every layer shares: a real broker per session folder, connected buses, and a loop that must not block."""

import contextlib
import gc
import os
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from bus import Bus, connect
from bus.server import NatsServer, running_server

# How long an example takes says how busy the machine is. On a build server the examples are the same each time.
settings.register_profile(
    "bounded",
    settings.get_profile("ci" if os.environ.get("CI") else "default"),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bounded")

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Reports read source by ``ast``, and CPython before 3.11.9 cannot stand a finalizer that does so in between.

    A garbage collection inside ``ast.parse`` that runs such a finalizer (an unclosed task logs its traceback, say)
    ends in "AST constructor recursion depth mismatch", and pytest stops without naming the test (cpython#106905).
    Goes when 3.11.9 is the oldest Python that is run.
    """
    with _no_garbage_collection():
        return (yield)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
