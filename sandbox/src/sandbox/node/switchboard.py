"""Where stand-ins call: one HTTP server on loopback for all simulated servers.

A call carries the stage it is made in. The first call of a stage takes the time that the scenario gives the stage; a
fault of the stage meets every call of it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from sandbox.node.scenario import Troubles
from sandbox.node.server import Server

logger = logging.getLogger(__name__)

_LARGEST_CALL = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """A program that a simulated server ran."""

    server: Server
    program: str
    arguments: tuple[str, ...]
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program printed, and how it ended."""

    status: int = 0
    text: str = ""


Respond = Callable[[Call], Awaitable[Answer]]


class Switchboard:
    """Answers the stand-ins."""

    def __init__(self, respond: Respond, troubles: Callable[[], Troubles]) -> None:
        self.url = ""
        self._respond = respond
        self._troubles = troubles
        self._servers: dict[int, Server] = {}

    def connect(self, server: Server) -> None:
        """Answer this server from now on."""
        self._servers[server.machine.id] = server

    def disconnect(self, server: Server) -> None:
        """Answer this server no longer."""
        self._servers.pop(server.machine.id, None)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve on a free port of loopback."""
        application = web.Application(client_max_size=_LARGEST_CALL)
        application.router.add_post("/call", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            yield
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        server = self._caller(request.headers.get("Authorization", ""))
        if server is None:
            return web.Response(status=401)
        form = await request.post()
        call = Call(
            server=server,
            program=str(form.get("program", "")),
            arguments=tuple(str(each) for each in form.getall("argument", [])),
            stage=str(form.get("stage", "")),
            text=str(form.get("input", "")),
        )
        answer = await self._answer(call)
        return web.Response(text=f"{answer.status}\n{answer.text}")

    async def _answer(self, call: Call) -> Answer:
        server = call.server
        if call.stage and call.stage not in server.stages:
            server.stages.append(call.stage)
            await _pause(server, self._troubles().seconds(call.stage))
        if fault := server.fault(call.stage, "fails", "hangs", "dies"):
            if fault.kind == "fails":
                return Answer(1, "\n".join(fault.lines) or f"{call.program}: failed, as the scenario says")
            if fault.kind == "dies":
                logger.info("a simulated server dies", extra={"server": server.machine.name, "stage": call.stage})
                server.gone.set()
            await server.gone.wait()
            # Not a word before its processes have ended: an answer would let a dying stage report that it failed.
            await server.still.wait()
            return Answer(143, "the server is off")
        return await self._respond(call)

    def _caller(self, authorization: str) -> Server | None:
        token = authorization.removeprefix("Bearer ").encode()
        found = (each for each in self._servers.values() if hmac.compare_digest(each.token.encode(), token))
        return next(found, None)


async def _pause(server: Server, seconds: float) -> None:
    """Let that much time pass on the server, unless it is switched off."""
    try:
        async with asyncio.timeout(seconds):
            await server.gone.wait()
    except TimeoutError:
        return
