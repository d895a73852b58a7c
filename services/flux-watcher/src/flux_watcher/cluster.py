"""Adapter: one cluster's API through ``kubernetes.aio``. The only module that knows that client.

Every client is built with the cluster's own CA, which is both right and cheap (each default CA bundle costs about a
megabyte), connects to the address of the run's outputs, and ignores proxies of the environment. Watches are read in
pieces from small buffers; a line that is longer than an object may be ends the watch, and so does silence.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException

from flux_watcher.api import ApiTrouble, Change, Denied, Expired, Forbidden, Happened, NotServed, Page, Unreachable
from flux_watcher.kubeconfig import Access
from flux_watcher.objects import KINDS, Kind

log = logging.getLogger(__name__)

_READ_BUFFER: Final = 32 * 1024
_MOST_BYTES: Final = 32 * 1024 * 1024
_MOST_LINE: Final = 2 * 1024 * 1024
_CHANGES: Final[dict[str, Change]] = {
    "ADDED": "ADDED",
    "MODIFIED": "MODIFIED",
    "DELETED": "DELETED",
    "BOOKMARK": "BOOKMARK",
}
_BY_STATUS: Final[dict[int, type[ApiTrouble]]] = {401: Denied, 403: Forbidden, 404: NotServed, 410: Expired}


@dataclass(frozen=True)
class Timeouts:
    """Seconds that the cluster's API gets."""

    connect_s: float = 10
    answer_s: float = 30
    silence_s: float = 120
    """A watch that sends nothing for so long, not even a bookmark, is dead."""


@dataclass
class Cluster:
    """One cluster, as the watcher may see it."""

    client: ApiClient
    timeouts: Timeouts = field(default_factory=Timeouts)
    _served: dict[str, str] = field(default_factory=dict)

    async def page(self, kind: Kind, *, limit: int, more: str = "") -> Page:
        """One page of a kind's objects."""
        body = await self._collection(kind, {"limit": str(limit), **({"continue": more} if more else {})})
        metadata = _mapping(body.get("metadata"))
        items = body.get("items")
        return Page(
            items=tuple(items) if isinstance(items, list) else (),
            version=str(metadata.get("resourceVersion", "")),
            more=str(metadata.get("continue") or ""),
        )

    async def watch(self, kind: Kind, *, version: str, seconds: int) -> AsyncIterator[Happened]:
        """Changes after a version, for a bounded time."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        path = kind.path(await self._version(kind))
        async with self._request("GET", path, query, seconds=seconds + self.timeouts.silence_s) as response:
            async for line in self._lines(response, silence_s=self.timeouts.silence_s):
                yield _happened(line)

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Mapping[str, Any]:
        """One object, whole."""
        path = f"{kind.path(await self._version(kind), namespace)}/{name}"
        return await self._json("GET", path)

    async def patch(self, kind: Kind, name: str, namespace: str, body: Mapping[str, Any]) -> None:
        """Merge into one object."""
        path = f"{kind.path(await self._version(kind), namespace)}/{name}"
        await self._json("PATCH", path, body=dict(body), content_type="application/merge-patch+json")

    async def namespace_uid(self, name: str) -> str:
        """The uid of a namespace; of kube-system it stands for the cluster itself."""
        found = await self._json("GET", f"/api/v1/namespaces/{name}")
        return str(_mapping(found.get("metadata")).get("uid", ""))

    async def annotation(self, namespace: str, name: str) -> str:
        """What a namespace is annotated with under a name; empty when it is not."""
        found = await self._json("GET", f"/api/v1/namespaces/{namespace}")
        return str(_mapping(_mapping(found.get("metadata")).get("annotations")).get(name, ""))

    async def delete_namespace(self, name: str) -> None:
        """Delete a namespace and what is in it; absent is fine."""
        try:
            await self._json("DELETE", f"/api/v1/namespaces/{name}")
        except NotServed:
            return

    async def events(self, namespace: str, *, about: str = "", limit: int = 50) -> list[Mapping[str, Any]]:
        """The events of a namespace, or those that concern an object of this name; in no particular order."""
        query = {"limit": str(limit)} | ({"fieldSelector": f"involvedObject.name={about}"} if about else {})
        body = await self._json("GET", f"/api/v1/namespaces/{namespace}/events", query)
        items = body.get("items")
        return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []

    async def pods(self, namespace: str, labels: str) -> list[str]:
        """Names of the pods with these labels."""
        body = await self._json("GET", f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": labels, "limit": "20"})
        items = body.get("items")
        found = (
            _mapping(_mapping(item).get("metadata")).get("name") for item in (items if isinstance(items, list) else ())
        )
        return [name for name in found if isinstance(name, str)]

    async def log_lines(self, namespace: str, pod: str, *, tail: int) -> list[str]:
        """The last lines that a pod logged."""
        query = {"tailLines": str(tail), "limitBytes": str(512 * 1024)}
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        async with self._request("GET", path, query, seconds=self.timeouts.answer_s) as response:
            content = await _bounded(response, 512 * 1024)
        return content.decode("utf-8", "replace").splitlines()

    async def _collection(self, kind: Kind, query: dict[str, str]) -> Mapping[str, Any]:
        try:
            return await self._json("GET", kind.path(await self._version(kind)), query)
        except NotServed:
            self._served.pop(kind.group, None)
            raise

    async def _version(self, kind: Kind) -> str:
        """The served version that we prefer; discovered once per group, again after a 404."""
        if len(kind.versions) == 1:
            return kind.versions[0]
        if kind.group not in self._served:
            body = await self._json("GET", f"/apis/{kind.group}")
            listed = body.get("versions")
            rows = listed if isinstance(listed, list) else []
            self._served[kind.group] = ",".join(str(_mapping(row).get("version")) for row in rows)
        served = self._served[kind.group].split(",")
        return next((version for version in kind.versions if version in served), kind.versions[0])

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Mapping[str, Any]:
        seconds = self.timeouts.answer_s
        async with self._request(
            method, path, query or {}, seconds=seconds, body=body, content_type=content_type
        ) as got:
            content = await _bounded(got, _MOST_BYTES)
        try:
            return _mapping(json.loads(content))
        except ValueError:
            raise Unreachable(f"{method} {path}: the answer is no JSON") from None

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        seconds: float,
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One call: every failure becomes one of ours, whatever the answer holds stays bounded."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=self.timeouts.connect_s)
        response: aiohttp.ClientResponse | None = None
        try:
            serialized = await self.client.param_serialize(
                method, path, query_params=list(query.items()), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            answer = await self.client.call_api(*serialized, _request_timeout=timeout)
            response = answer.response
            if response.status >= 400:  # noqa: PLR2004 - HTTP
                raise await _refusal(method, path, response)
            yield response
        except (aiohttp.ClientError, OSError, TimeoutError, ApiException) as error:
            raise Unreachable(f"{method} {path}: {type(error).__name__}: {error}"[:500]) from None
        finally:
            if response is not None:
                response.close()

    async def _lines(self, response: aiohttp.ClientResponse, *, silence_s: float) -> AsyncIterator[bytes]:
        rest = b""
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    piece = await response.content.readany()
            except TimeoutError:
                raise Unreachable(f"silent for {silence_s:g} s") from None
            if not piece:
                return
            rest += piece
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if line:
                    yield line
            if len(rest) > _MOST_LINE:
                raise Unreachable(f"a line is longer than {_MOST_LINE} bytes")


@asynccontextmanager
async def open_cluster(access: Access, server: str, timeouts: Timeouts | None = None) -> AsyncIterator[Cluster]:
    """A cluster at this address (``https://<ip>:6443``), trusted by its own CA and nobody else's."""
    configuration = Configuration(
        host=server,
        api_key={"BearerToken": access.token.get_secret_value()},
        api_key_prefix={"BearerToken": "Bearer"},
        ca_cert_data=access.ca_pem,
        retries=None,
        client_session_kwargs={
            "trust_env": False,
            "read_bufsize": _READ_BUFFER,
            "middlewares": (_refuse_redirects,),
        },
    )
    client = ApiClient(configuration)
    try:
        yield Cluster(client, timeouts or Timeouts())
    finally:
        await client.close()  # type: ignore[no-untyped-call]


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A cluster that sends us elsewhere could make us call anything that we can reach: it is not followed."""
    response = await handler(request)
    if 300 <= response.status < 400:  # noqa: PLR2004 - HTTP
        response.close()
        raise aiohttp.ClientError(f"redirect {response.status} refused")
    return response


def kind_of(name: str) -> Kind | None:
    """The kind of this name, however its first letters are written."""
    return next((kind for known, kind in KINDS.items() if known.lower() == name.lower()), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


async def _bounded(response: aiohttp.ClientResponse, most: int) -> bytes:
    content = bytearray()
    while piece := await response.content.readany():
        content += piece
        if len(content) > most:
            raise Unreachable(f"the answer is longer than {most} bytes")
    return bytes(content)


async def _refusal(method: str, path: str, response: aiohttp.ClientResponse) -> ApiTrouble:
    try:
        message = str(_mapping(json.loads(await _bounded(response, 64 * 1024))).get("message", ""))
    except (ValueError, ApiTrouble):
        message = ""
    kind = _BY_STATUS.get(response.status, Unreachable)
    return kind(f"{method} {path}: {response.status} {message}"[:500])


def _happened(line: bytes) -> Happened:
    try:
        event = _mapping(json.loads(line))
    except ValueError:
        raise Unreachable("a watch event is no JSON") from None
    item = event.get("object")
    if event.get("type") == "ERROR":
        status = _mapping(item)
        code = status.get("code")
        kind = _BY_STATUS.get(code, Unreachable) if isinstance(code, int) else Unreachable
        raise kind(str(status.get("message", "the watch ended with an error"))[:500])
    change = _CHANGES.get(str(event.get("type")))
    if change is None:
        raise Unreachable("a watch event is of no known type")
    version = _mapping(_mapping(item).get("metadata")).get("resourceVersion", "")
    return Happened(change, str(version), item)
