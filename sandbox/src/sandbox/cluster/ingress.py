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
from typing import Final

from aiohttp import web

from sandbox.cluster.conditions import condition, is_ready
from sandbox.cluster.front_kinds import GATEWAY, HTTP_ROUTE
from sandbox.cluster.model import FLUX_NAMESPACE, Model
from sandbox.cluster.objects import HELM_RELEASE, Json

HTTPS_PORT: Final = 31443
HTTP_PORT: Final = 31080
_REALM: Final = "/realms/catalyst-admin"


_PAGES: Final = {
    "catalyst-console": "Catalyst console",
    "catalyst-admin": "Sovereign admin",
    "gitea-http": "Gitea",
}
_KEYCLOAK: Final = "keycloak-http"


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
        backend = self._backend(host, request.path)
        if backend is None or not self._is_up(backend):
            return _missing(host)
        if backend["name"] == _KEYCLOAK:
            return _realm(host, request.path)
        name: str = backend["name"]
        title = _PAGES.get(name, name)
        return web.Response(text=_page(title, host), content_type="text/html", headers={"X-Simulated": "true"})

    def _backend(self, host: str, path: str) -> Json | None:
        """The Service that the kit's routes send a request to; the longest path that matches wins."""
        found: list[tuple[int, Json]] = []
        for route in self._model.store.select(HTTP_ROUTE):
            if host not in (route["spec"].get("hostnames") or ()):
                continue
            for rule in route["spec"]["rules"]:
                matches = rule.get("matches") or [{"path": {"value": "/"}}]
                lengths = [len(match["path"]["value"]) for match in matches if _starts(path, match["path"]["value"])]
                if lengths and rule.get("backendRefs"):
                    backend = rule["backendRefs"][0]
                    namespace = backend.get("namespace", route["metadata"]["namespace"])
                    found.append((max(lengths), {**backend, "namespace": namespace}))
        return max(found, key=lambda each: each[0])[1] if found else None

    def _is_up(self, backend: Json) -> bool:
        """Whether the Gateway is programmed, and the release in the Service's namespace ready."""
        gateways = self._model.store.select(GATEWAY)
        if not any((condition(gateway, "Programmed") or {}).get("status") == "True" for gateway in gateways):
            return False
        for component in self._model.kit.components.values():
            if component.namespace == backend["namespace"]:
                return is_ready(self._model.store.get(HELM_RELEASE, FLUX_NAMESPACE, component.name))
        return False


def _starts(path: str, prefix: str) -> bool:
    """Path prefix by whole elements, as the Gateway API has it."""
    prefix = prefix.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def _realm(host: str, path: str) -> web.Response:
    """The public document of the Keycloak realm."""
    realm, _, rest = path.removeprefix("/realms/").partition("/")
    if realm != "catalyst-admin" or rest not in {"", ".well-known/openid-configuration"}:
        return _missing(host)
    base = f"https://{host}{_REALM}"
    document = {"realm": realm, "issuer": base, "token-service": f"{base}/protocol/openid-connect"}
    return web.Response(
        text=json.dumps({**document, "simulated": True}),
        content_type="application/json",
        headers={"X-Simulated": "true"},
    )


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
