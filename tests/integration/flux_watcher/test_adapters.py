"""The two adapters against real TLS servers on loopback that behave badly on purpose."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from flux_watcher.api import ApiTrouble, Denied, Expired, Forbidden, Happened, NotServed, Unreachable
from flux_watcher.cluster import Cluster, Timeouts, open_cluster
from flux_watcher.kubeconfig import Access
from flux_watcher.objects import HELM_RELEASE, NODE
from flux_watcher.probe import Look, Prober, Target
from sandbox.cluster.tls import Authority
from tests.integration.flux_watcher.names import name_server

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_numbers = itertools.count(2)
TOKEN = "watcher-token-of-this-test"


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext) -> AsyncIterator[tuple[str, int]]:
    address = f"127.81.{os.getpid() % 250 + 1}.{next(_numbers)}"
    server = web.Server(handler, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, address, 0, ssl=context)
    try:
        yield address, listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await server.shutdown(0.2)


@asynccontextmanager
async def api(handler: Handler, tmp_path: Path, **timeouts: float) -> AsyncIterator[Cluster]:
    authority = Authority.create("cluster")
    names = [f"127.81.{os.getpid() % 250 + 1}.{number}" for number in range(2, 60)]
    context = authority.server_context(tmp_path / "api.pem", "api", names)
    async with serving(handler, context) as (address, port):
        access = Access(authority.pem, SecretStr(TOKEN), "https://192.0.2.1:6443")
        async with open_cluster(access, f"https://{address}:{port}", Timeouts(**timeouts)) as cluster:
            yield cluster


def stream(*lines: bytes, then: asyncio.Event | None = None) -> Handler:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        if then is not None:
            await then.wait()
        return response

    return handle


async def watched(cluster: Cluster) -> list[Happened]:
    return [item async for item in cluster.watch(NODE, version="1", seconds=30)]


def event(kind: str, version: str, **more: Any) -> bytes:
    item = {"metadata": {"name": "n", "uid": "u", "resourceVersion": version}, **more}
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


async def test_a_watch_gives_changes_and_bookmarks_however_they_are_cut(tmp_path: Path) -> None:
    whole = event("ADDED", "2", status={"message": "x" * 100_000}) + event("BOOKMARK", "3") + event("DELETED", "4")
    pieces = [whole[i : i + 7000] for i in range(0, len(whole), 7000)]
    async with api(stream(*pieces), tmp_path) as cluster:
        found = await watched(cluster)
    assert [(item.change, item.version) for item in found] == [("ADDED", "2"), ("BOOKMARK", "3"), ("DELETED", "4")]


async def test_a_silent_watch_is_dead(tmp_path: Path) -> None:
    end = asyncio.Event()
    async with api(stream(event("ADDED", "2"), then=end), tmp_path, silence_s=0.2) as cluster:
        with pytest.raises(Unreachable, match="silent"):
            await watched(cluster)
        end.set()


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        (json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode() + b"\n", Expired),
        (json.dumps({"type": "ERROR", "object": {"code": 500}}).encode() + b"\n", Unreachable),
        (b"not json\n", Unreachable),
        (b'{"type": "SURPRISE", "object": {}}\n', Unreachable),
        (b'{"type": 7}\n', Unreachable),
        (b"[1]\n", Unreachable),
        (b"x" * (3 * 1024 * 1024), Unreachable),
    ],
    ids=["410", "500", "no-json", "unknown-type", "odd-type", "no-object", "endless-line"],
)
async def test_what_a_watch_may_send_becomes_one_of_our_troubles(
    tmp_path: Path, line: bytes, trouble: type[ApiTrouble]
) -> None:
    async with api(stream(line), tmp_path) as cluster:
        with pytest.raises(trouble):
            await watched(cluster)


@pytest.mark.parametrize(
    ("status", "trouble"),
    [(401, Denied), (403, Forbidden), (404, NotServed), (410, Expired), (429, Unreachable), (503, Unreachable)],
)
async def test_a_refused_call_is_told_by_its_status_and_never_with_the_token(
    tmp_path: Path, status: int, trouble: type[ApiTrouble]
) -> None:
    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        return web.json_response({"kind": "Status", "message": "no"}, status=status)

    async with api(refuse, tmp_path) as cluster:
        with pytest.raises(trouble) as found:
            await cluster.page(NODE, limit=1)
    assert TOKEN not in str(found.value)


async def test_the_served_version_is_discovered_and_the_preferred_one_taken(tmp_path: Path) -> None:
    asked: list[str] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        if request.path == "/apis/helm.toolkit.fluxcd.io":
            return web.json_response({"versions": [{"version": "v2beta1"}, {"version": "v2beta2"}]})
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})

    async with api(handle, tmp_path) as cluster:
        await cluster.page(HELM_RELEASE, limit=1)
        await cluster.page(HELM_RELEASE, limit=1)
    assert asked == [
        "/apis/helm.toolkit.fluxcd.io",
        "/apis/helm.toolkit.fluxcd.io/v2beta2/helmreleases",
        "/apis/helm.toolkit.fluxcd.io/v2beta2/helmreleases",
    ]


async def test_a_server_of_another_authority_gets_no_token(tmp_path: Path) -> None:
    asked: list[str] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response({})

    theirs = Authority.create("somebody else").server_context(tmp_path / "x.pem", "x", ["localhost"])
    async with serving(handle, theirs) as (address, port):
        access = Access(Authority.create("ours").pem, SecretStr(TOKEN), "")
        async with open_cluster(access, f"https://{address}:{port}") as cluster:
            with pytest.raises(Unreachable):
                await cluster.page(NODE, limit=1)
    assert asked == []


async def test_a_redirect_is_not_followed_with_our_token(tmp_path: Path) -> None:
    seen: list[str] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with api(handle, tmp_path) as cluster:
        with pytest.raises(ApiTrouble):
            await cluster.page(NODE, limit=1)
    assert seen == ["/api/v1/nodes"]


@asynccontextmanager
async def host(
    tmp_path: Path,
    *,
    issuer: str = "roots",
    trusted: bool = True,
    days: int = 90,
    status: int = 200,
    name: str = "console.demo.example",
) -> AsyncIterator[tuple[Prober, str]]:
    """A page of a Sovereign with a certificate of some kind; the prober, and the load balancer's address."""

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status)

    authority = Authority.create(issuer)
    roots = tmp_path / "roots.pem"
    roots.write_text((authority if trusted else Authority.create("other")).pem)
    context = authority.server_context(tmp_path / "front.pem", name, [name], days)
    async with serving(page, context) as (address, port), name_server(address) as names:
        yield Prober(Look((("127.0.0.1", names.port),), roots, port, timeout_s=5)), address


TARGET = Target("console.demo.example")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({}, ""),
        ({"status": 302}, ""),
        ({"status": 404}, "http: status 404"),
        ({"status": 503}, "http: status 503"),
        ({"issuer": "(STAGING) Pretend Pear X1", "trusted": False}, "tls: the certificate is of a staging issuer"),
        ({"days": 3}, "tls: the certificate has"),
        ({"trusted": False}, "tls: "),
        ({"name": "other.example"}, "tls: Hostname mismatch"),
    ],
    ids=["good", "redirects", "404", "503", "staging", "expires", "untrusted", "other-name"],
)
async def test_a_host_is_judged_by_the_first_step_that_does_not_hold(
    tmp_path: Path, how: dict[str, Any], reason: str
) -> None:
    async with host(tmp_path, **how) as (prober, address):
        found = await prober.host(TARGET, address)
    assert found.reason.startswith(reason) if reason else not found.reason
    assert found.addresses == (address,)
    assert found.staging_issuer == ("staging" in reason)


async def test_a_name_that_nobody_knows_is_a_matter_of_dns(tmp_path: Path) -> None:
    async with name_server("") as names:
        found = await Prober(Look((("127.0.0.1", names.port),))).host(TARGET, "127.0.0.1")
    assert found.reason == "dns: the name does not exist"


async def test_the_realm_has_to_answer_200_itself(tmp_path: Path) -> None:
    async with host(tmp_path, status=302) as (prober, address):
        found = await prober.host(Target(TARGET.host, "/realms/catalyst-admin", exactly_ok=True), address)
    assert found.reason == "http: status 302 instead of 200"
