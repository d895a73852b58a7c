"""OpenTofu's http state backend, for one run, on loopback.

GET, POST, LOCK and UNLOCK of one state; basic authentication with a password that ends with the run. The lease is the
lock, so LOCK only says whether it is sure. A second address hands OpenTofu the key of its own encryption (through
``key_provider.py``), so that the key stands in no file, argument or environment.
"""

import base64
import binascii
import hashlib
import json
import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from bus import TryAgain
from tofu_runner.stateversions import MAX_BYTES, Held, StateRefused, StateUnreadable, StateVersions

log = logging.getLogger(__name__)

USER = "tofu"
STATE_PATH = "/state"
KEY_PATH = "/key"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Backend:
    """Routes of one run's state."""

    def __init__(self, versions: StateVersions, lease: Held, *, password: str, key: bytes) -> None:
        self._versions = versions
        self._lease = lease
        self._password = password
        self._key = key
        self.refusals: list[str] = []
        """Why versions were refused, for the run's own account."""

    def routes(self) -> list[web.RouteDef]:
        """To be mounted on a server of this run."""
        return [
            web.get(STATE_PATH, self._guarded(self._read)),
            web.post(STATE_PATH, self._guarded(self._write)),
            web.route("LOCK", STATE_PATH, self._guarded(self._lock)),
            web.route("UNLOCK", STATE_PATH, self._guarded(self._unlock)),
            web.get(KEY_PATH, self._guarded(self._hand_key)),
        ]

    def _guarded(self, handle: _Handler) -> _Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if not self._authentic(request.headers.get("Authorization", "")):
                return web.Response(
                    status=401, headers={"WWW-Authenticate": "Basic"}, text="wrong credential of this run"
                )
            try:
                return await handle(request)
            except TryAgain as away:
                # OpenTofu asks again for as long as TF_HTTP_RETRY_MAX allows.
                log.warning("state out of reach", extra={"action": "state-away", "why": away.reason})
                return web.Response(status=503, text=away.reason)

        return guarded

    def _authentic(self, header: str) -> bool:
        kind, _, encoded = header.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return kind.lower() == "basic" and secrets.compare_digest(given, f"{USER}:{self._password}".encode())

    async def _read(self, _request: web.Request) -> web.Response:
        try:
            body = await self._versions.load()
        except StateUnreadable as error:
            return self._refused(500, str(error))
        if body is None:
            return web.Response(status=404, text="no state yet")
        return web.Response(body=body, content_type="application/json")

    async def _write(self, request: web.Request) -> web.Response:
        if (request.content_length or 0) > MAX_BYTES:
            return self._refused(413, f"{request.content_length} bytes; a state holds at most {MAX_BYTES}")
        body = await request.read()
        told = request.headers.get("Content-MD5", "")
        # MD5 is what the backend's protocol sends; it guards against truncation, not against anybody.
        if told and told != base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode():
            return self._refused(400, "the body is not whole: its checksum differs")
        try:
            await self._versions.save(body)
        except StateRefused as error:
            return self._refused(409, str(error))
        return web.Response(status=200)

    def _refused(self, status: int, why: str) -> web.Response:
        self.refusals.append(why)
        log.warning("state refused", extra={"action": "state-refused", "why": why})
        return web.Response(status=status, text=why)

    async def _lock(self, request: web.Request) -> web.Response:
        if not self._lease.sure:
            holder = {"ID": str(self._lease.token), "Who": "another worker", "Info": "the lease is not sure any more"}
            return web.Response(status=423, body=json.dumps(holder).encode(), content_type="application/json")
        await request.read()
        return web.Response(status=200)

    async def _unlock(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=200)

    async def _hand_key(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._key)
