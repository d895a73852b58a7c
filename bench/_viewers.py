"""Many WebSockets in one process of their own, as cheap as they can be: they count, they do not parse.

Every event that is published carries ``MARK``, three bytes that are nowhere else, so what arrived is counted whatever
framing it came in: one event a frame (the gateway, aiohttp) or many (nats-server). Times are the machine's monotonic
clock, which processes share.
"""

import base64
import multiprocessing
import os
import re
import select
import socket
import struct
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, Self

MARK: Final = b"\x7f\x7f\x7f"
_STAMP: Final = re.compile(rb'"stamp":"(\d{20})"')
_CHUNK: Final = 256 * 1024
_DEADLINE_S: Final = 120.0


@dataclass(frozen=True)
class Door:
    """How a viewer gets in: where, with which headers, what it says first, and what it waits for before it counts."""

    port: int
    path: str
    headers: tuple[str, ...] = ()
    hello: tuple[bytes, ...] = ()
    opcode: int = 0x81
    until: bytes = b""


def client_frame(payload: bytes, opcode: int = 0x81) -> bytes:
    """A masked frame (RFC 6455, section 5.3); the mask of zeros leaves the payload readable."""
    size = len(payload)
    head = struct.pack("!BB", opcode, 0x80 | size) if size < 126 else struct.pack("!BBH", opcode, 0x80 | 126, size)
    return head + b"\0\0\0\0" + payload


def opened(door: Door, *, receive_bytes: int = 0) -> tuple[socket.socket, bytes]:
    """A socket that has got in, and what came with the welcome."""
    one = socket.socket()
    if receive_bytes:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    one.settimeout(_DEADLINE_S)
    one.connect(("127.0.0.1", door.port))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {door.path} HTTP/1.1", f"Host: 127.0.0.1:{door.port}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *door.headers,
    ]  # fmt: skip
    one.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += one.recv(65536)
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise ConnectionError(head.decode(errors="replace"))
    for hello in door.hello:
        one.sendall(client_frame(hello, door.opcode))
    return one, rest


@dataclass
class _Crowd:
    """The sockets of one worker process."""

    sockets: dict[int, socket.socket] = field(default_factory=dict)
    buffer: bytearray = field(default_factory=lambda: bytearray(_CHUNK + 2))

    def open(self, door: Door, count: int) -> float:
        """Open so many; how long the slowest took until it had what it waits for."""
        slowest = 0.0
        for _ in range(count):
            started = time.monotonic()
            one, seen = opened(door)
            while door.until and door.until not in seen:
                seen = seen[-len(door.until) :] + one.recv(_CHUNK)
            slowest = max(slowest, time.monotonic() - started)
            one.setblocking(False)  # noqa: FBT003 - the socket module's signature
            self.sockets[one.fileno()] = one
        return slowest

    def count(self, expected: int) -> tuple[float, int]:
        """Read until each socket has so many events; when the last one had, and how many came in all."""
        left = dict.fromkeys(self.sockets, expected)
        tails = dict.fromkeys(self.sockets, b"\0\0")
        total, deadline = 0, time.monotonic() + _DEADLINE_S
        with select.epoll() as poll:
            for number in self.sockets:
                poll.register(number, select.EPOLLIN)
            while left and time.monotonic() < deadline:
                for number, _ready in poll.poll(1.0):
                    size = self._receive(number, tails)
                    found = self.buffer.count(MARK, 0, size)
                    total += found
                    if number in left:
                        left[number] -= found
                        if left[number] <= 0:
                            del left[number]
        if left:
            raise TimeoutError(f"{len(left)} of {len(self.sockets)} sockets miss {max(left.values())} events")
        return time.monotonic(), total

    def latencies(self, expected: int) -> list[float]:
        """Read until each socket has so many events; how long each took from its stamp to here, in seconds."""
        left = dict.fromkeys(self.sockets, expected)
        rests = dict.fromkeys(self.sockets, b"")
        found: list[float] = []
        deadline = time.monotonic() + _DEADLINE_S
        with select.epoll() as poll:
            for number in self.sockets:
                poll.register(number, select.EPOLLIN)
            while left and time.monotonic() < deadline:
                for number, _ready in poll.poll(1.0):
                    data = rests[number] + self.sockets[number].recv(_CHUNK)
                    now = time.monotonic()
                    stamps = list(_STAMP.finditer(data))
                    rests[number] = data[stamps[-1].end() if stamps else 0 :][-64:]
                    found += [now - int(stamp[1]) / 1e9 for stamp in stamps]
                    if number in left:
                        left[number] -= len(stamps)
                        if left[number] <= 0:
                            del left[number]
        if left:
            raise TimeoutError(f"{len(left)} sockets miss up to {max(left.values())} events")
        return found

    def join(self, door: Door, count: int, expected: int) -> float:
        """So many come at once and want everything: seconds until the last one has it."""
        self.close()
        started = time.monotonic()
        seen = {}
        for _ in range(count):
            one, rest = opened(door)
            one.setblocking(False)  # noqa: FBT003 - the socket module's signature
            self.sockets[one.fileno()] = one
            seen[one.fileno()] = rest.count(MARK)
        left = min(expected - got for got in seen.values())
        ended, _total = self.count(left)
        return ended - started

    def close(self) -> None:
        """Go away."""
        for one in self.sockets.values():
            one.close()
        self.sockets.clear()

    def _receive(self, number: int, tails: dict[int, bytes]) -> int:
        """Read into the buffer after the last two bytes of before, so that a mark across two reads is seen once."""
        self.buffer[:2] = tails[number]
        got = self.sockets[number].recv_into(memoryview(self.buffer)[2:], _CHUNK)
        if not got:
            raise ConnectionError("a viewer was closed")
        tails[number] = bytes(self.buffer[got : got + 2])
        return got + 2


def _work(pipe: Connection, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    crowd = _Crowd()
    while True:
        name, arguments = pipe.recv()
        if name == "end":
            crowd.close()
            return
        try:
            pipe.send(getattr(crowd, name)(*arguments))
        except Exception as error:  # noqa: BLE001 - it is raised again where the worker was asked
            pipe.send(error)


class Viewers:
    """A worker process with its sockets."""

    def __init__(self, core: int | None) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._pipe = ours
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_work, args=(theirs, core), daemon=True)

    def __enter__(self) -> Self:
        """Start it."""
        self._process.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End it."""
        self._pipe.send(("end", ()))
        self._process.join(10)

    def begin(self, name: str, *arguments: object) -> None:
        """Ask for something that takes a while."""
        self._pipe.send((name, arguments))

    def answer(self) -> Any:
        """What became of it."""
        found = self._pipe.recv()
        if isinstance(found, Exception):
            raise found
        return found

    def ask(self, name: str, *arguments: object) -> Any:
        """Both."""
        self.begin(name, *arguments)
        return self.answer()
