"""PowerDNS is killed after each call of a zone's life in turn, its answer is lost: both ways end as if nothing was."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from bus import TryAgain
from catalyst.stack.powerdns import PowerDns as Server
from catalyst.stack.powerdns import PowerDnsProgram
from dns_pdm.keeping import ZoneKeeper
from dns_pdm.powerdns import PowerDns
from dns_pdm.updates import PoolUpdates
from dns_pdm.zones import MARK
from tests.integration.dns_pdm.conftest import HOSTING, POOL, RULES, program

__all__ = ["program"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
T = TypeVar("T")


@dataclass
class Line:
    """Stands between us and a server: passes calls and updates on, and kills the server after one of them."""

    server: Server
    session: aiohttp.ClientSession
    fatal: int = 0
    """Which call is followed by the server's death, counted from the last reset; 0 is none."""
    calls: int = 0
    ends: list[str] = field(default_factory=list)
    """What was asked when the server died."""
    api: PowerDns = field(init=False)
    """Our client at its end."""

    async def call(self, request: web.Request) -> web.StreamResponse:
        url = f"{self.server.api_url}{request.path_qs}"
        headers = {key: request.headers[key] for key in ("X-API-Key", "Content-Type") if key in request.headers}
        async with self.session.request(request.method, url, headers=headers, data=await request.read()) as answer:
            body, status, kind = await answer.read(), answer.status, answer.content_type
        if await self._dies(f"{request.method} {request.path}"):
            assert request.transport is not None
            request.transport.abort()
        return web.Response(body=body, status=status, content_type=kind)

    async def update(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One DNS UPDATE over TCP."""
        onward, back = await asyncio.open_connection(self.server.address, self.server.dns_port)
        try:
            back.write(await _message(reader))
            answer = await _message(onward)
            if not await self._dies("UPDATE"):
                writer.write(answer)
                await writer.drain()
        finally:
            back.close()
            writer.close()

    async def _dies(self, asked: str) -> bool:
        self.calls += 1
        if self.calls != self.fatal:
            return False
        self.ends.append(asked)
        await self.server.kill()
        await self.server.start()
        return True


async def _message(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(2)
    return length + await reader.readexactly(int.from_bytes(length, "big"))


@asynccontextmanager
async def line_to(server: Server) -> AsyncIterator[tuple[Line, ZoneKeeper]]:
    """A line, and a keeper at its end."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        )
        line = Line(server, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", line.call)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        updates = await asyncio.start_server(line.update, "127.0.0.1", 0)
        await stack.enter_async_context(updates)
        url, port = f"http://127.0.0.1:{runner.addresses[0][1]}", updates.sockets[0].getsockname()[1]
        api = await stack.enter_async_context(PowerDns.connect(url, SecretStr(server.api_key)))
        line.api = api
        parents = PoolUpdates(api, f"127.0.0.1:{port}", SecretStr("m" * 43), api.turns)
        yield line, ZoneKeeper(api, parents, HOSTING, RULES)


async def persist(act: Callable[[], Awaitable[T]]) -> T:
    """Again until it succeeds, as a message comes again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await act()
            except TryAgain:
                continue


async def held(keeper: ZoneKeeper, fqdn: str) -> object:
    """A zone and its delegation, without what is new in every zone: name, serial, key."""
    zone = await persist(lambda: keeper.api.zone(fqdn))
    in_pool = await persist(lambda: keeper.api.records_at(POOL, fqdn))
    records = sorted(
        (r.name.removesuffix(f"{fqdn}."), r.type, r.ttl_s, r.content, r.mark == MARK)
        for r in (zone.records if zone else ())
        if r.type != "SOA"
    )
    keys = len(await persist(lambda: keeper.api.signing_keys(fqdn)))
    delegation = sorted((r.type, r.ttl_s, r.content if r.type == "NS" else len(r.content)) for r in in_pool or ())
    return zone and (zone.account, zone.signed, zone.nsec3), records, keys, delegation


async def a_life(line: Line, keeper: ZoneKeeper, fqdn: str, fatal: int) -> tuple[object, object]:
    """What is there when it is published, and when it is gone."""
    line.fatal = 0
    await line.api.refuse_updates(POOL, ())  # the pool learns our key anew, so that this is cut off too
    line.calls, line.fatal = 0, fatal
    await persist(lambda: keeper.ensure(fqdn, 1))
    await persist(lambda: keeper.publish(fqdn, "192.0.2.1", "2001:db8::1", ttl_s=60))
    there = await held(keeper, fqdn)
    await persist(lambda: keeper.withdraw(fqdn, 1))
    await persist(lambda: keeper.release(fqdn, 1))
    return there, await held(keeper, fqdn)


async def test_killed_after_any_call_with_its_answer_lost_it_ends_as_if_nothing_was(
    program: PowerDnsProgram,
    tmp_path: Path,
) -> None:
    async with Server(program, tmp_path / "pdns") as server, line_to(server) as (line, keeper):
        await keeper.ensure_pools()
        before = await keeper.api.zone(POOL)
        assert before is not None
        undisturbed = await a_life(line, keeper, f"whole.{POOL}", fatal=0)
        for fatal in itertools.count(1):
            assert await a_life(line, keeper, f"cut-{fatal}.{POOL}", fatal) == undisturbed, line.ends
            if len(line.ends) < fatal:
                break  # that one had fewer calls
        assert len(line.ends) > 30
        assert {"UPDATE"} < {end.split()[0] for end in line.ends} == {"GET", "POST", "PUT", "PATCH", "DELETE", "UPDATE"}
        after = await keeper.api.zone(POOL)
        assert after is not None
        assert [r for r in after.records if r.type != "SOA"] == [r for r in before.records if r.type != "SOA"]
        assert await keeper.api.zone_names() == (POOL,)
