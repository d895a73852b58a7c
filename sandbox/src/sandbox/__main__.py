"""`catalyst-sandbox`: serve the simulated cloud until SIGTERM or SIGINT."""

import asyncio
import logging
import signal

import uvloop

from sandbox.app import serve
from sandbox.settings import Settings


def main() -> None:
    """Start with settings from the environment."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    uvloop.run(_main())


async def _main() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(Settings(), stop)


if __name__ == "__main__":
    main()
