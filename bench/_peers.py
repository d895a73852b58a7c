"""What the gateway's relay is measured beside: a plain aiohttp loop, and nats-server's own WebSocket listener."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop
from aiohttp import web

from bus.server import find_server, free_port

SUBJECT: Final = "bench.event"


class Publisher:
    """A raw connection that publishes as fast as it may: so many messages, then a flush, and on."""

    def __init__(self, port: int, connect: dict[str, object]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.info = json.loads(self._socket.recv(65536).split(b"\r\n")[0].removeprefix(b"INFO "))
        self._connect = connect

    def begin(self, **more: object) -> None:
        """Say who we are; the nonce to sign is in ``info``."""
        said = {"verbose": False, "pedantic": False, "lang": "bench", "headers": True, **self._connect, **more}
        self._socket.sendall(f"CONNECT {json.dumps(said)}\r\n".encode())
        self._flush()

    def publish(self, subject: str, payloads: list[bytes], *, every: int) -> None:
        """All of them, flushed (PING, PONG) after every so many."""
        for start in range(0, len(payloads), every):
            some = payloads[start : start + every]
            self._socket.sendall(b"".join(b"PUB %s %d\r\n%s\r\n" % (subject.encode(), len(p), p) for p in some))
            self._flush()

    def close(self) -> None:
        """Go away."""
        self._socket.close()

    def _flush(self) -> None:
        self._socket.sendall(b"PING\r\n")
        seen = b""
        while b"PONG\r\n" not in seen:
            got = self._socket.recv(65536)
            if not got or b"-ERR" in got:
                raise ConnectionError(got.decode(errors="replace"))
            seen = seen[-6:] + got


@asynccontextmanager
async def nats_server(folder: Path) -> AsyncIterator[tuple[int, int, int]]:
    """A plain server: its port, its WebSocket port and its process."""
    port, websocket = free_port(), free_port()
    settings = folder / "plain.conf"
    settings.write_text(
        f"listen: 127.0.0.1:{port}\nwebsocket {{ listen: 127.0.0.1:{websocket}, no_tls: true, compression: false }}\n"
    )
    process = await asyncio.create_subprocess_exec(
        str(find_server()), "-c", str(settings), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            while b"Server is ready" not in await process.stderr.readline():
                continue
        yield port, websocket, process.pid
    finally:
        process.terminate()
        await process.communicate()


@asynccontextmanager
async def plain_loop(nats_port: int, core: int) -> AsyncIterator[tuple[int, int]]:
    """The aiohttp peer in a process of its own: its port and its process."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench._peers", str(nats_port), str(port), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            await process.stdout.readline()
        os.sched_setaffinity(process.pid, {core})
        yield port, process.pid
    finally:
        process.terminate()
        await process.communicate()


async def _loop(nats_port: int, port: int) -> None:
    """Read events from the server, send each to each: what one writes first."""
    sockets: set[web.WebSocketResponse] = set()

    async def viewer(request: web.Request) -> web.WebSocketResponse:
        one = web.WebSocketResponse(compress=False)
        await one.prepare(request)
        sockets.add(one)
        try:
            async for _message in one:
                continue
        finally:
            sockets.discard(one)
        return one

    app = web.Application()
    app.add_routes([web.get("/ws", viewer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", nats_port, limit=16 * 1024 * 1024)
    await reader.readline()
    writer.write(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB %s 1\r\nPING\r\n' % SUBJECT.encode())
    print("ready", flush=True)
    while line := await reader.readline():
        if line.startswith(b"MSG"):
            payload = (await reader.readexactly(int(line.split()[-1]) + 2))[:-2].decode()
            for one in tuple(sockets):
                with contextlib.suppress(ConnectionError):
                    await one.send_str(payload)
        elif line.startswith(b"PING"):
            writer.write(b"PONG\r\n")


if __name__ == "__main__":
    uvloop.run(_loop(int(sys.argv[1]), int(sys.argv[2])))
