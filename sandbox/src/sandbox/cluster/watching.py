"""Watches: the changes of a kind as a stream of lines, with bookmarks, a bounded time and 410 for history that is gone.

A watch holds no queue, only the version it has reached; what came since is read from the store's history. A
client that reads slowly therefore costs nothing, and one that is too slow is told so by 410, as by the real
API.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from sandbox.cluster import problems
from sandbox.cluster.objects import Json, Kind, Matches
from sandbox.cluster.problems import ApiProblem
from sandbox.cluster.selectors import selector
from sandbox.cluster.store import Change, Store

_LONGEST_S: Final = 3600.0


class Watching:
    """Serves the watches of one cluster."""

    def __init__(self, store: Store, bookmark_s: float) -> None:
        self._store = store
        self._bookmark_s = bookmark_s
        self._open: set[web.BaseRequest] = set()

    async def stream(self, request: web.BaseRequest, kind: Kind, namespace: str) -> web.StreamResponse:
        """Answer one watch until its time is over, its history is gone or its client is."""
        query = request.query
        matches = selector(query.get("labelSelector", ""), query.get("fieldSelector", ""))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            await self._send_changes(response, query, kind, _in(namespace, matches))
        except ApiProblem as problem:
            await response.write(_line("ERROR", problem.status()))
        except ConnectionError:
            return response
        await response.write_eof()
        return response

    async def _send_changes(
        self, response: web.StreamResponse, query: Mapping[str, str], kind: Kind, matches: Matches
    ) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + min(float(query.get("timeoutSeconds") or _LONGEST_S), _LONGEST_S)
        bookmarks = query.get("allowWatchBookmarks", "") in {"true", "1"}
        reached = await self._begin(response, query, kind, matches)
        next_bookmark = clock() + self._bookmark_s
        while True:
            lines = [_event(change, matches) for change in self._store.changes_after(kind, reached)]
            # Nothing was missed up to here, so a compaction does not end a watch that keeps up.
            reached = self._store.version
            if content := b"".join(lines):
                await response.write(content)
            now = clock()
            if now >= end:
                break
            if bookmarks and now >= next_bookmark:
                await response.write(_bookmark(kind, reached))
                next_bookmark = now + self._bookmark_s
            await self._store.changed(kind, min(end, next_bookmark) - now if bookmarks else end - now)
        if bookmarks:
            await response.write(_bookmark(kind, reached))

    async def _begin(self, response: web.StreamResponse, query: Mapping[str, str], kind: Kind, matches: Matches) -> int:
        """Where the watch starts; without a version, what is there comes first as ADDED."""
        wanted = query.get("resourceVersion", "")
        if wanted and not wanted.isdecimal():
            raise problems.bad_request(f"resourceVersion: Invalid value: {wanted!r}")
        version = int(wanted or 0)
        if version > self._store.version:
            raise problems.version_too_large(version, self._store.version)
        if version:
            return version
        version = self._store.version
        items = self._store.select(kind, matches=matches)
        if items:
            await response.write(b"".join(_line("ADDED", item) for item in items))
        return version


def _in(namespace: str, matches: Matches | None) -> Matches:
    def inside(item: Json) -> bool:
        at_home = not namespace or item["metadata"].get("namespace", "") == namespace
        return at_home and (matches is None or matches(item))

    return inside


def _event(change: Change, matches: Matches) -> bytes:
    """The change as a watcher with these selectors sees it: an object may enter or leave what it watches."""
    before = change.before is not None and matches(change.before)
    after = change.type != "DELETED" and matches(change.item)
    if after:
        return _line("MODIFIED" if before else "ADDED", change.item)
    return _line("DELETED", change.item) if before else b""


def _line(kind: str, item: Json) -> bytes:
    return json.dumps({"type": kind, "object": item}, separators=(",", ":")).encode() + b"\n"


def _bookmark(kind: Kind, version: int) -> bytes:
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    return _line("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})
