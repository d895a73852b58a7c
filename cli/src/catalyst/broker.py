"""Straight to the broker, for the operator of an installation: as a NATS user whose key lies in the keys' folder."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec, TypeVar

from bus import Bus, BusSettings, Denied, TryAgain, connect
from catalyst.commands.session import run_loop, settings
from catalyst.failing import UNREACHABLE, Failure
from catalyst.settings import CliSettings

P = ParamSpec("P")
T = TypeVar("T")

_CONNECT_S = 8.0


@asynccontextmanager
async def broker(told: CliSettings, user: str) -> AsyncIterator[Bus]:
    """A connection as ``user``; Failure says what is missing when there is none."""
    seed = told.keys_dir / f"{user}.nk"
    if not seed.exists():
        raise Failure(
            f"there is no key of NATS user {user!r} in {told.keys_dir}",
            "set CATALYST_KEYS_DIR to the installation's keys, or make them: catalyst keys init",
        )
    wanted = BusSettings(nats_url=told.nats_url, nats_ca=told.nats_ca, nkey_file=seed)
    session = connect(wanted, user)
    try:
        async with asyncio.timeout(_CONNECT_S):
            bus = await session.__aenter__()
    except TimeoutError:
        todo = "start it, or correct CATALYST_NATS_URL, CATALYST_NATS_CA or CATALYST_KEYS_DIR"
        raise Failure(
            f"{told.nats_url} does not take user {user!r} within {_CONNECT_S:g} s", todo, code=UNREACHABLE
        ) from None
    try:
        yield bus
    finally:
        await session.__aexit__(None, None, None)


def on_the_broker(
    user: str,
) -> Callable[[Callable[Concatenate[Bus, P], Awaitable[T]]], Callable[P, T]]:
    """Run a command's coroutine with a connection to the broker."""

    def decorated(work: Callable[Concatenate[Bus, P], Awaitable[T]]) -> Callable[P, T]:
        @functools.wraps(work)
        def command(*args: P.args, **kwargs: P.kwargs) -> T:
            async def run() -> T:
                async with broker(settings(), user) as bus:
                    return await work(bus, *args, **kwargs)

            try:
                return run_loop(run())
            except Denied as error:
                raise Failure(str(error), "use the key of a user who may") from None
            except (TryAgain, TimeoutError) as error:
                raise Failure(str(error), "try again; look at the broker's log if it persists") from None

        return command

    return decorated
