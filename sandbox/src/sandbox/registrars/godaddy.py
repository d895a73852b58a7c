"""Simulated GoDaddy: version 1 of the domains API."""

from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from sandbox.registrars.account import Account

_LEAST: Final = 2
_RETRY_AFTER_S: Final = 17


async def answer(account: Account, request: web.Request) -> web.StreamResponse:
    """Read or patch one domain."""
    if (refusal := _refused(account, request)) is not None:
        return refusal
    root, _, name = request.match_info["path"].strip("/").rpartition("/")
    domain = account.domains.get(name)
    if root != "v1/domains" or domain is None:
        return _error(404, "NOT_FOUND", f"The given domain {name} is not registered, or does not have a zone file")
    if request.method == "GET":
        row = {"domain": name, "status": "ACTIVE", "locked": True, "nameServers": domain.nameservers or None}
        return web.json_response(row)
    if request.method == "PATCH":
        return await _patch(account, name, request)
    return _error(405, "METHOD_NOT_ALLOWED", "The method is not allowed")


async def _patch(account: Account, name: str, request: web.Request) -> web.Response:
    if account.domains[name].busy:
        return _error(422, "INVALID_STATE", "The domain is being used in another request")
    servers = (await request.json()).get("nameServers", ())
    if len(servers) < _LEAST:
        wrong = [{"path": "nameServers", "code": "TOO_FEW", "message": "has to hold two or more"}]
        return _error(422, "INVALID_BODY", "Request body doesn't fulfill schema", fields=wrong)
    account.change(name, nameservers=[str(server).upper() for server in servers])
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _refused(account: Account, request: web.Request) -> web.Response | None:
    """What is wrong with the caller."""
    if not account.take():
        return _error(429, "TOO_MANY_REQUESTS", "Too many requests", retryAfterSec=_RETRY_AFTER_S)
    parts = account.credentials
    if request.headers.get("Authorization") != f"sso-key {parts['key']}:{parts['secret']}":
        return _error(401, "UNABLE_TO_AUTHENTICATE", "Unauthorized : Could not authenticate API key/secret")
    if not account.may_change:
        return _error(403, "ACCESS_DENIED", "Authenticated user is not allowed access")
    return None


def _error(status: int, code: str, message: str, **more: Any) -> web.Response:
    return web.json_response({"code": code, "message": message, **more}, status=status)
