"""The ``catalyst`` command beside a test's server, as its operator runs it."""

import asyncio

from click.testing import CliRunner, Result

from bus.server import NatsServer
from catalyst.__main__ import main


async def catalyst(server: NatsServer, *arguments: str, **more: str) -> Result:
    """Run it in a thread: it has an event loop of its own."""
    environment = {"CATALYST_NATS_URL": server.url, "CATALYST_KEYS_DIR": str(server.keys), **more}
    return await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environment)
