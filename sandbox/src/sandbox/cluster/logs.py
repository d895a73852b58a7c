"""What the simulated pods wrote: a few structured lines per workload, bounded, for the log subresource."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from sandbox.cluster.objects import Json

_KEPT: Final = 200
_LONGEST_FOLLOW_S: Final = 300.0
_POLL_S: Final = 0.5


class Logs:
    """Log lines of one cluster, by the workload (label `app`) that wrote them."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[tuple[int, str]]] = {}
        self._count = 0

    def write(self, app: str, message: str, *, level: str = "info", **fields: str) -> None:
        """Add a line, in the JSON form of Flux's controllers."""
        self._count += 1
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = json.dumps({"level": level, "ts": at, "msg": message, **fields, "simulated": True})
        self._lines.setdefault(app, deque(maxlen=_KEPT)).append((self._count, line))

    async def answer(self, request: web.BaseRequest, pod: Json) -> web.StreamResponse:
        """Answer a request for a pod's log, following it when asked."""
        app = (pod["metadata"].get("labels") or {}).get("app", "")
        tail = request.query.get("tailLines", "")
        lines = list(self._lines.get(app, ()))
        if tail.isdecimal():
            lines = lines[len(lines) - min(int(tail), len(lines)) :]
        if request.query.get("follow", "") not in {"true", "1"}:
            return web.Response(text="".join(f"{line}\n" for _, line in lines))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        clock = asyncio.get_running_loop().time
        end = clock() + _LONGEST_FOLLOW_S
        try:
            while clock() < end:
                for _, line in lines:
                    await response.write(f"{line}\n".encode())
                seen = lines[-1][0] if lines else self._count
                await asyncio.sleep(_POLL_S)
                lines = [entry for entry in self._lines.get(app, ()) if entry[0] > seen]
        except ConnectionError:
            return response
        await response.write_eof()
        return response
