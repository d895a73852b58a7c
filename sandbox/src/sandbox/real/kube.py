"""The real API server, as the sandbox's own hands use it: server-side apply, reading, deleting."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

Json = dict[str, Any]
MANAGER: Final = "sandbox"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=20)
_LOOK_S: Final = 0.1
_NOT_FOUND: Final = 404
_FAILED: Final = 400
_LATER: Final = 429
"""Among others, the answer for a kind whose storage the server has just begun to read."""
_LATER_S: Final = 0.5
_PATIENCE_S: Final = 60.0


class Refused(Exception):
    """The API server's answer when it is not the one that was asked for."""

    def __init__(self, status: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass
class Kube:
    """Calls with one bearer token."""

    url: str
    token: str
    session: aiohttp.ClientSession
    _kinds: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=dict)

    async def call(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json", **query: str
    ) -> Json:
        """One call; its JSON, or Refused. A server that is not ready for it yet (429) is asked again, for a while."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    return await self._call(method, path, body, content_type, query)
                except Refused as refused:
                    if refused.status != _LATER:
                        raise
                await asyncio.sleep(_LATER_S)

    async def _call(self, method: str, path: str, body: object, content_type: str, query: Mapping[str, str]) -> Json:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        async with self.session.request(
            method, self.url + path, params=query, headers=headers, data=data, timeout=_TIMEOUT
        ) as response:
            text = await response.text()
            if response.status >= _FAILED:
                raise _refusal(response.status, text)
            return dict(json.loads(text)) if text.startswith("{") else {"text": text}

    async def path_of(self, document: Mapping[str, Any]) -> str:
        """Where an object of this apiVersion, kind, namespace and name lies."""
        plural, namespaced = await self._kind(document["apiVersion"], document["kind"])
        metadata = document["metadata"]
        place = f"/namespaces/{metadata.get('namespace') or 'default'}" if namespaced else ""
        return f"{_base(document['apiVersion'])}{place}/{plural}/{metadata['name']}"

    async def apply(self, document: Json, *, dry_run: bool = False) -> Json:
        """Server-side apply, as `kubectl apply --server-side --force-conflicts`."""
        query = {"fieldManager": MANAGER, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        path = await self.path_of(document)
        return await self.call("PATCH", path, document, content_type="application/apply-patch+yaml", **query)

    async def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Json | None:
        """One object, or None."""
        metadata = {"name": name, "namespace": namespace}
        try:
            return await self.call(
                "GET", await self.path_of({"apiVersion": api_version, "kind": kind, "metadata": metadata})
            )
        except Refused as refused:
            if refused.status == _NOT_FOUND:
                return None
            raise

    async def until_served(self, api_version: str, kind: str, within_s: float) -> None:
        """Wait until the server serves a kind that was just defined."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    await self._kind(api_version, kind)
                except Refused:
                    await asyncio.sleep(_LOOK_S)
                else:
                    return

    async def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        """The plural of a kind and whether it lies in namespaces; asked anew when it is not known."""
        if kind not in self._kinds.get(api_version, {}):
            try:
                found = await self.call("GET", _base(api_version))
            except Refused as refused:
                if refused.status != _NOT_FOUND:
                    raise
                found = {"resources": []}
            self._kinds[api_version] = {
                each["kind"]: (each["name"], each["namespaced"])
                for each in found["resources"]
                if "/" not in each["name"]
            }
        if kind not in self._kinds[api_version]:
            raise Refused(_NOT_FOUND, f'no matches for kind "{kind}" in version "{api_version}"')
        return self._kinds[api_version][kind]


@asynccontextmanager
async def kube(url: str, token: str, ca: str) -> AsyncIterator[Kube]:
    """Calls to one API server, for as long as the block lasts."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=ca))
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        yield Kube(url, token, session)


async def until_ready(api: Kube, path: str, within_s: float) -> None:
    """Wait until the path answers, under a bound."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                await api.call("GET", path)
            except (aiohttp.ClientError, OSError, Refused):
                await asyncio.sleep(_LOOK_S)
            else:
                return


def _base(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _refusal(status: int, text: str) -> Refused:
    try:
        answer = json.loads(text)
    except ValueError:
        return Refused(status, text[:500])
    return Refused(status, str(answer.get("message", "")), str(answer.get("reason", "")))
