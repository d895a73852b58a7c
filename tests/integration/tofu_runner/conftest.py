"""The stand as a fixture."""

import pathlib
from collections.abc import AsyncIterator

import pytest

from bus.server import NatsServer
from tests.integration.tofu_runner.stand import Stand, stand


@pytest.fixture
async def here(nats_server: NatsServer, tmp_path: pathlib.Path) -> AsyncIterator[Stand]:
    async with stand(nats_server, tmp_path) as everything:
        yield everything
