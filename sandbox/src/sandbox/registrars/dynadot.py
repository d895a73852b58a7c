"""Simulated Dynadot: the REST API with signed calls; a refused change comes as a code in the body of a 200."""

import base64
import hmac
from typing import Any, Final

from aiohttp import web

from sandbox.registrars.account import Account, Domain

_DIGESTS: Final = {1: "SHA-1 (1)", 2: "SHA-256 (2)", 4: "SHA-384 (4)"}
_ALGORITHMS: Final = {8: "RSA/SHA-256 (8)", 13: "ECDSA P-256/SHA-256 (13)"}
_MOST: Final = 13


async def answer(account: Account, request: web.Request) -> web.StreamResponse:
    """One call."""
    if (refusal := _refused(account, request, await request.text())) is not None:
        return refusal
    path = request.match_info["path"].strip("/").split("/")
    match path:
        case ["restful", "v2", "domains", name, what] if name in account.domains:
            if request.method == "GET":
                return _read(account.domains[name], what)
            return await _write(account, name, what, request)
        case ["restful", "v2", "domains", name, *_]:
            return _said(404, "Not Found", f"could not find domain {name} in your account", status=404)
    return _said(404, "Not Found", "no such command", status=404)


def _refused(account: Account, request: web.Request, text: str) -> web.Response | None:
    """What is wrong with the caller."""
    if not account.take():
        return _said(429, "Too Many Requests", status=429)
    if request.headers.get("Authorization") != f"Bearer {account.credentials['api_key']}":
        return _said(401, "Unauthorized", "the API key is invalid", status=401)
    if not _signed(account, request, text):
        return _said(401, "Unauthorized", "X-Signature is invalid", status=401)
    if not account.caller_allowed:
        return _said(403, "Forbidden", f"{request.remote} is not on the IP list", status=403)
    return None


def _signed(account: Account, request: web.Request, body: str) -> bool:
    parts, request_id = account.credentials, request.headers.get("X-Request-ID", "")
    path = "/" + request.match_info["path"].strip("/")
    signed = "\n".join((parts["api_key"], path, request_id, body))
    wanted = base64.b64encode(hmac.digest(parts["api_secret"].encode(), signed.encode(), "sha256")).decode()
    return hmac.compare_digest(wanted, request.headers.get("X-Signature", ""))


def _read(domain: Domain, what: str) -> web.Response:
    if what == "nameservers":
        rows = [{"host": "", "ns_name": server} for server in domain.nameservers]
        return _said(200, "Success", data={"name_servers": rows})
    shown = [
        {
            "key_tag": one["key_tag"],
            "algorithm": _ALGORITHMS[int(one["algorithm"])],
            "digest_type": _DIGESTS[int(one["digest_type"])],
            "digest": str(one["digest"]).upper(),
        }
        for one in domain.ds
    ]
    return _said(200, "Success", data={"dnssec_info_list": shown})


async def _write(account: Account, name: str, what: str, request: web.Request) -> web.Response:
    domain = account.domains[name]
    if domain.busy:
        return _said(503, "Service Unavailable", "another request of this domain is being processed")
    match request.method, what:
        case "PUT", "nameservers":
            servers = (await request.json())["nameserver_list"]
            if not 1 < len(servers) <= _MOST:
                return _said(400, "Bad Request", "nameserver_list has to hold 2 to 13 hosts")
            account.change(name, nameservers=servers)
        case "PUT", "dnssec":
            body = await request.json()
            if lacking := [field for field in ("flags", "public_key") if field not in body]:
                return _said(400, "Bad Request", f"{lacking[0]} is missing")
            row = {"key_tag": int(body["key_tag"]), "digest": body["digest"]}
            row |= {field: int(body[field]) for field in ("algorithm", "digest_type")}
            account.change(name, ds=[*domain.ds, row])
        case "DELETE", "dnssec":
            account.change(name, ds=[])
        case _:
            return _said(404, "Not Found", "no such command")
    return _said(200, "Success")


def _said(
    code: int, message: str, description: str = "", *, status: int = 200, data: dict[str, Any] | None = None
) -> web.Response:
    body: dict[str, Any] = {"code": code, "message": message}
    if description:
        body["error"] = {"description": description}
    if data is not None:
        body["data"] = data
    return web.json_response(body, status=status)
