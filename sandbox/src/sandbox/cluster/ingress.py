"""The front door of a simulated Sovereign: TLS at port 31443 of its nodes, a redirect at 31080, honest pages.

Routes are the HTTPRoutes of the kit, served while the release behind each is ready; anything else is 404.
The certificate is signed by the sandbox's own root, which stands in for Let's Encrypt and says so in its
name.
"""

from __future__ import annotations

import asyncio
import html
import json
import ssl
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from sandbox.cluster.conditions import is_ready
from sandbox.cluster.model import FLUX_NAMESPACE, Model
from sandbox.cluster.objects import HELM_RELEASE, Kind

HTTPS_PORT: Final = 31443
HTTP_PORT: Final = 31080
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")
GATEWAY: Final = Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways")
_REALM: Final = "/realms/catalyst-admin"


@dataclass(frozen=True, slots=True)
class _Page:
    title: str
    component: str


_PAGES: Final = {
    "console": _Page("Catalyst console", "bp-catalyst-platform"),
    "admin": _Page("Sovereign admin", "bp-catalyst-platform"),
    "gitea": _Page("Gitea", "bp-gitea"),
}


class Ingress:
    """The listeners of one cluster's nodes."""

    def __init__(self, model: Model, fqdn: str, context: ssl.SSLContext) -> None:
        self._model = model
        self._fqdn = fqdn
        self._context = context
        self._web = web.Server(self._answer, access_log=None)
        self._plain = web.Server(self._redirect, access_log=None)
        self._listeners: dict[str, list[asyncio.Server]] = {}

    async def listen(self, address: str) -> None:
        """Serve at a node's address."""
        if address in self._listeners:
            return
        loop = asyncio.get_running_loop()
        secure = await loop.create_server(self._web, address, HTTPS_PORT, ssl=self._context)
        try:
            plain = await loop.create_server(self._plain, address, HTTP_PORT)
        except OSError:
            secure.close()
            raise
        self._listeners[address] = [secure, plain]

    async def stop(self) -> None:
        """Serve nothing any more."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.close()
        self._listeners.clear()
        await self._web.shutdown(1.0)
        await self._plain.shutdown(1.0)

    async def _redirect(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(
            status=301, headers={"Location": f"https://{request.host.partition(':')[0]}{request.path_qs}"}
        )

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        host = request.host.partition(":")[0].lower()
        name, _, domain = host.partition(".")
        page = _PAGES.get(name)
        if domain != self._fqdn or page is None:
            return _missing(host)
        if name == "admin" and request.path.startswith("/realms/"):
            return self._realm(host, request.path)
        if not self._serves(page.component):
            return _missing(host)
        return web.Response(text=_page(page.title, host), content_type="text/html", headers={"X-Simulated": "true"})

    def _realm(self, host: str, path: str) -> web.Response:
        """The public document of the Keycloak realm."""
        realm, _, rest = path.removeprefix("/realms/").partition("/")
        if realm != "catalyst-admin" or rest not in {"", ".well-known/openid-configuration"}:
            return _missing(host)
        if not self._serves("bp-keycloak"):
            return _missing(host)
        base = f"https://{host}{_REALM}"
        document = {"realm": realm, "issuer": base, "token-service": f"{base}/protocol/openid-connect"}
        return web.Response(
            text=json.dumps({**document, "simulated": True}),
            content_type="application/json",
            headers={"X-Simulated": "true"},
        )

    def _serves(self, component: str) -> bool:
        """Whether the Gateway is up and what stands behind the route is ready."""
        release = self._model.store.get(HELM_RELEASE, FLUX_NAMESPACE, component)
        network = self._model.store.get(HELM_RELEASE, FLUX_NAMESPACE, "bp-cilium")
        return is_ready(release) and (network is None or is_ready(network))


def _missing(host: str) -> web.Response:
    return web.Response(
        status=404,
        text=f"No route for {host} yet (simulated).\n",
        headers={"X-Simulated": "true", "Server": "simulated"},
    )


def _page(title: str, host: str) -> str:
    title, host = html.escape(title), html.escape(host)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} (simulated)</title></head>'
        f"<body><h1>{title}</h1><p>{host}</p><p>This page is <strong>simulated</strong>: it stands in for the one "
        "that a real Sovereign serves here.</p></body></html>\n"
    )
