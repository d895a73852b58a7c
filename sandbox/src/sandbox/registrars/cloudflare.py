"""Simulated Cloudflare: zones and their NS and DS records, in pages; no call changes a domain's own name servers.

The account's domains are the delegated names; the zone of each is what follows its first label.
"""

import hashlib
from http import HTTPStatus
from typing import Any

from aiohttp import web

from sandbox.registrars.account import Account


async def answer(account: Account, request: web.Request) -> web.StreamResponse:
    """One call."""
    if (refusal := _refused(account, request)) is not None:
        return refusal
    zones = {_id(zone): zone for zone in _zones(account)}
    match request.method, request.match_info["path"].strip("/").split("/"):
        case "GET", ["zones"]:
            rights = ["#zone:read", "#dns_records:read", *(["#dns_records:edit"] if account.may_change else [])]
            rows = [{"id": number, "name": zone, "permissions": rights} for number, zone in zones.items()]
            return _page(account, request, [row for row in rows if row["name"] == request.query.get("name")])
        case "GET", ["zones", number, "dns_records"] if number in zones:
            wanted = request.query.get("name")
            return _page(account, request, [row for row in _records(account) if row["name"] == wanted])
        case "POST", ["zones", number, "dns_records", "batch"] if number in zones:
            return _batch(account, await request.json())
    return _error(404, 7003, "Could not route to the path")


def _refused(account: Account, request: web.Request) -> web.Response | None:
    """What is wrong with the caller."""
    if not account.take():
        response = _error(429, 10013, "More than 1200 requests in five minutes")
        response.headers["Retry-After"] = "120"
        return response
    if request.headers.get("Authorization") != f"Bearer {account.credentials['api_token']}":
        return _error(400, 6003, "Invalid request headers")
    if not account.caller_allowed:
        return _error(403, 9109, f"Cannot use the access token from location: {request.remote}")
    return None


def _batch(account: Account, body: dict[str, Any]) -> web.Response:
    if not account.may_change:
        return _error(403, 10000, "Authentication error")
    rows = {row["id"]: row for row in _records(account)}
    gone = {str(row["id"]) for row in body.get("deletes", ())}
    if not gone <= set(rows):
        return _error(404, 81044, "Record does not exist.")
    posts = body.get("posts", ())
    for name in {rows[number]["name"] for number in gone} | {str(row["name"]) for row in posts}:
        if account.domains[name].busy:
            return _error(400, 81058, "An identical record already exists.")
        left = [row for number, row in rows.items() if row["name"] == name and number not in gone]
        left += [row for row in posts if row["name"] == name]
        servers = [str(row["content"]) for row in left if row["type"] == "NS"]
        ds = [row["data"] for row in left if row["type"] == "DS"]
        if ds and not servers:
            return _error(400, 9999, "A DS record needs NS records at its name")
        account.change(name, nameservers=servers, ds=ds)
    return _ok({"deletes": [rows[number] for number in gone], "posts": list(posts)})


def _zones(account: Account) -> list[str]:
    return sorted({name.partition(".")[2] for name in account.domains})


def _records(account: Account) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, domain in account.domains.items():
        rows += [
            {"id": _id(name, "NS", server), "type": "NS", "name": name, "content": server}
            for server in domain.nameservers
        ]
        for one in domain.ds:
            told = f"{one['key_tag']} {one['algorithm']} {one['digest_type']} {one['digest']}"
            rows.append({"id": _id(name, "DS", told), "type": "DS", "name": name, "content": told, "data": one})
    return rows


def _page(account: Account, request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
    size = min(account.per_page, int(request.query.get("per_page", "20")))
    page = int(request.query.get("page", "1"))
    shown = rows[(page - 1) * size : page * size]
    pages = max(1, -(-len(rows) // size))
    told = {"page": page, "per_page": size, "count": len(shown), "total_count": len(rows), "total_pages": pages}
    return _ok(shown, result_info=told)


def _ok(result: Any, **more: Any) -> web.Response:
    return web.json_response({"success": True, "errors": [], "messages": [], "result": result, **more})


def _error(status: int, code: int, message: str) -> web.Response:
    body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return web.json_response(body, status=HTTPStatus(status))


def _id(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]
