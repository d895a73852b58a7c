"""The writing half of a browser's connection: bytes go straight to the transport, so one write serves many events.

``aiohttp`` frames and drains each message by itself, which costs a system call and a task switch per event; the hub
has framed and joined already and watches the buffer's size instead of waiting for it.
"""

import asyncio
from dataclasses import dataclass, field

from gateway.frames import Kind, said

CLOSE_RESTART = 1012
CLOSE_SLOW = 1013


@dataclass(eq=False)
class TransportViewer:
    """A viewer on an open connection."""

    transport: asyncio.Transport
    kind: Kind
    chunked: bool = False
    """SSE over HTTP/1.1: each write is one chunk."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = ""

    def buffered(self) -> int:
        """Bytes that wait in the transport."""
        return self.transport.get_write_buffer_size()

    def write(self, blob: bytes) -> None:
        """Hand bytes to the transport; never waits."""
        if self.transport.is_closing():
            self.closed.set()
            return
        self.transport.write(b"%x\r\n%s\r\n" % (len(blob), blob) if self.chunked else blob)

    def close(self, why: str) -> None:
        """End it; the connection's own coroutine says goodbye."""
        if not self.why:
            self.why = why
            if self.kind == "sse":
                self.write(said("sse", "closed", {"why": why}))
        self.closed.set()
