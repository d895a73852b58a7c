"""Server-sent events of one Sovereign: history, then live, resumed by ``Last-Event-ID``.

``event:`` is absent for facts (the browser's default), else ``live``, ``view``, ``heartbeat`` or ``closed``. Log lines
have a stream of their own, of ``log`` and ``heartbeat``; each ``log`` says in ``lines[].id`` where to go on.
"""

from typing import Final

from aiohttp import web

from gateway.channel import Filter
from gateway.heartbeat import Heartbeat
from gateway.hub import Hub
from gateway.logbook import Logbook
from gateway.viewers import TransportViewer

_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
_HTTP_1_1: Final = (1, 1)


async def stream(
    request: web.Request, hub: Hub, heartbeat: Heartbeat, channel: str, *, after: int, only: Filter, with_view: bool
) -> web.StreamResponse:
    """Serve one reader of facts until either side ends it."""
    response, viewer = await _open(request)
    if viewer is None:
        return response  # the reader is gone already
    subscription = await hub.subscribe(viewer, channel, after=after, only=only, with_view=with_view)
    try:
        await _until_closed(viewer, heartbeat)
    finally:
        hub.unsubscribe(subscription)
    await response.write_eof()
    return response


async def stream_logs(
    request: web.Request, logbook: Logbook, heartbeat: Heartbeat, sovereign: str, *, since: str, after: int
) -> web.StreamResponse:
    """Serve one reader of log lines until either side ends it."""
    response, viewer = await _open(request)
    if viewer is None:
        return response
    place = await logbook.look(viewer, sovereign, since=since, after=after)
    try:
        await _until_closed(viewer, heartbeat)
    finally:
        logbook.leave(place)
    await response.write_eof()
    return response


async def _until_closed(viewer: TransportViewer, heartbeat: Heartbeat) -> None:
    """Until either side ends it, with heartbeats meanwhile."""
    heartbeat.join(viewer)
    try:
        await viewer.closed.wait()
    finally:
        heartbeat.leave(viewer)


async def _open(request: web.Request) -> tuple[web.StreamResponse, TransportViewer | None]:
    response = web.StreamResponse(headers=_HEADERS)
    chunked = request.version >= _HTTP_1_1
    if chunked:
        response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b"retry: 2000\n\n")
    transport = request.transport
    return response, TransportViewer(transport, "sse", chunked=chunked) if transport is not None else None
