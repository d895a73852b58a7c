"""Simulated OVH: signed calls checked to the letter, a clock of its own, and changes that are tasks."""

import base64
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
    changing = ["/domain/*/nameServers/update", *(["/domain/*/dsRecord"] if account.may_sign else [])]
    rules += [{"method": "POST", "path": path} for path in changing if account.may_change]
    rules += [{"method": "PUT", "path": "/domain/*"}] if account.may_change else []
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
            known = {"domain": name, "nameServerType": kind, "offer": "gold", "dnssecSupported": True}
            return web.json_response(known)
        case ["dsRecord", *number]:
            rows = [{"id": 500 + index, "status": "published", **_key(ds)} for index, ds in enumerate(domain.ds)]
            return web.json_response(rows[int(number[0]) - 500] if number else [row["id"] for row in rows])
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
        case "POST", ["dsRecord"]:
            return _sign(account, name, body["keys"])
        case "PUT", [] if body.get("nameServerType") == "hosted":
            account.change(name, nameservers=OWN, by_default=True)
            return web.json_response(None)
    return _error(404, "", "Got an invalid (or empty) URL")


def _sign(account: Account, name: str, keys: list[dict[str, Any]]) -> web.Response:
    made = [_ds(name, row) for row in keys]
    if any(row is None for row in made):
        return _error(400, "", "A key's tag does not fit it")
    account.change(name, ds=made)
    task = {"id": _TASK, "domain": name, "function": "DomainDnssecUpdate", "status": "todo"}
    return web.json_response(task)


def _key(ds: dict[str, Any]) -> dict[str, Any]:
    """A DS as OVH shows it: the key alone."""
    flags, _protocol, algorithm, key = str(ds["dnskey"]).split(maxsplit=3)
    return {"flags": int(flags), "algorithm": int(algorithm), "publicKey": key, "tag": ds["key_tag"]}


def _ds(name: str, row: dict[str, Any]) -> dict[str, Any] | None:
    """The DS that the registry gets of a key (RFC 4034, section 5.1.4 and appendix B); None when its tag is wrong."""
    head = int(row["flags"]).to_bytes(2, "big") + bytes([3, int(row["algorithm"])])
    rdata = head + base64.b64decode(row["publicKey"], validate=True)
    total = sum(byte << 8 if index % 2 == 0 else byte for index, byte in enumerate(rdata))
    if (total + (total >> 16 & 0xFFFF)) & 0xFFFF != row["tag"]:
        return None
    owner = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    return {
        "key_tag": row["tag"],
        "algorithm": row["algorithm"],
        "digest_type": 2,
        "digest": hashlib.sha256(owner + rdata).hexdigest(),
        "dnskey": f"{row['flags']} 3 {row['algorithm']} {row['publicKey']}",
    }


def _error(status: int, code: str, message: str) -> web.Response:
    body = {"message": message, **({"errorCode": code} if code else {}), "httpCode": f"{status}"}
    return web.json_response(body, status=status)
