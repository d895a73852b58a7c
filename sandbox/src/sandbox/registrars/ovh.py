"""Simulated OVH: signed calls checked to the letter, a clock of its own, and changes that are tasks."""

import hashlib
import hmac
import time
from typing import Any, Final

from aiohttp import web

from sandbox.registrars.account import Account, Domain

OWN: Final = ["dns10.ovh.net", "ns10.ovh.net"]
_CLOCK_WITHIN_S: Final = 30
_TASK: Final = 77001


async def answer(account: Account, request: web.Request) -> web.StreamResponse:
    """One call."""
    path = request.match_info["path"].strip("/").split("/")
    if not account.take():
        return _error(429, "", "Too many requests")
    if path == ["auth", "time"]:
        return web.json_response(int(time.time()) + account.clock_ahead_s)
    if (refusal := _unsigned(account, request, await request.text())) is not None:
        return refusal
    return _credential(account) if path == ["auth", "currentCredential"] else await _of_domain(account, path, request)


def _credential(account: Account) -> web.Response:
    rules = [{"method": "GET", "path": "/*"}]
    rules += [{"method": method, "path": "/domain/*"} for method in ("POST", "PUT") if account.may_change]
    return web.json_response({"status": "validated", "rules": rules})


async def _of_domain(account: Account, path: list[str], request: web.Request) -> web.Response:
    domain = account.domains.get(path[1]) if path[0] == "domain" and path[1:] else None
    if domain is None:
        return _error(404, "", "This service does not exist")
    if request.method == "GET":
        return _read(domain, path[1], path[2:], request)
    return await _write(account, path[1], path[2:], request)


def _unsigned(account: Account, request: web.Request, body: str) -> web.Response | None:
    """What is wrong with a call's signature."""
    parts, told = account.credentials, request.headers
    if told.get("X-Ovh-Application") != parts["application_key"]:
        return _error(403, "INVALID_KEY", "This application key is invalid")
    if told.get("X-Ovh-Consumer") != parts["consumer_key"]:
        return _error(403, "INVALID_CREDENTIAL", "This credential is not valid")
    stamp = told.get("X-Ovh-Timestamp", "0")
    if abs(int(stamp) - (int(time.time()) + account.clock_ahead_s)) > _CLOCK_WITHIN_S:
        return _error(400, "QUERY_TIME_OUT", "Query out of time")
    fields = (parts["application_secret"], parts["consumer_key"], request.method, str(request.url), body, stamp)
    wanted = "$1$" + hashlib.sha1("+".join(fields).encode(), usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(wanted, told.get("X-Ovh-Signature", "")):
        return _error(400, "INVALID_SIGNATURE", "Invalid signature")
    return None


def _read(domain: Domain, name: str, rest: list[str], request: web.Request) -> web.Response:
    match rest:
        case []:
            kind = "hosted" if domain.by_default else "external"
            return web.json_response({"domain": name, "nameServerType": kind, "offer": "gold"})
        case ["nameServer"]:
            return web.json_response([100 + index for index in range(len(domain.nameservers))])
        case ["nameServer", number] if number.isdecimal() and 0 <= int(number) - 100 < len(domain.nameservers):
            server = domain.nameservers[int(number) - 100]
            row = {"id": int(number), "host": server, "ip": None, "isUsed": True, "toDelete": False}
            return web.json_response(row)
        case ["task"]:
            return web.json_response([_TASK] if domain.busy and request.query.get("status") == "doing" else [])
    return _error(404, "", "The requested object does not exist")


async def _write(account: Account, name: str, rest: list[str], request: web.Request) -> web.Response:
    if not account.may_change:
        return _error(403, "NOT_GRANTED_CALL", "This call has not been granted")
    if account.domains[name].busy:
        return _error(409, "", "A task is already running on this domain")
    body: dict[str, Any] = await request.json()
    match request.method, rest:
        case "POST", ["nameServers", "update"]:
            servers = [str(row["host"]) for row in body["nameServers"]]
            account.change(name, nameservers=servers, by_default=False)
            task = {"id": _TASK, "domain": name, "function": "DomainDnsUpdate", "status": "todo"}
            return web.json_response(task)
        case "PUT", [] if body.get("nameServerType") == "hosted":
            account.change(name, nameservers=OWN, by_default=True)
            return web.json_response(None)
    return _error(404, "", "Got an invalid (or empty) URL")


def _error(status: int, code: str, message: str) -> web.Response:
    body = {"message": message, **({"errorCode": code} if code else {}), "httpCode": f"{status}"}
    return web.json_response(body, status=status)
