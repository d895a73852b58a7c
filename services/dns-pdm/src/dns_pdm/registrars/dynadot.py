"""Dynadot, its REST API (version 2): signed calls, and errors that may come as a code in the body of a 200.

The older API would carry the key in its address, where logs keep it. DS are put one by one and cleared all at once.
"""

import base64
import hmac
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from contracts.dns import Delegation, DsRecord
from contracts.request import REGISTRAR_PARTS
from dns_pdm.registrars.calls import Caller, Said, calling, host, json_of, same_hosts, understood
from dns_pdm.registrars.port import Adapter

_NAME: Final = "dynadot"
_NUMBER: Final = re.compile(r"\((\d+)\)\s*$|^\s*(\d+)\s*$")
"""Algorithms and digest types are written as ``SHA-256 (2)``, or as the number alone."""


@dataclass(frozen=True)
class Dynadot:
    """An account at Dynadot."""

    caller: Caller
    parts: Mapping[str, str]

    async def validate(self, fqdn: str) -> Delegation:
        """Name servers and DS, read with these credentials."""
        return await self.get(fqdn)

    async def get(self, fqdn: str) -> Delegation:
        """Name servers and DS."""
        servers = await self._call("GET", fqdn, "nameservers")
        return Delegation(nameservers=names_in(servers), ds=await self._ds(fqdn))

    async def set(self, fqdn: str, nameservers: tuple[str, ...]) -> None:
        """Ensure these name servers."""
        if not same_hosts(names_in(await self._call("GET", fqdn, "nameservers")), nameservers):
            await self._call("PUT", fqdn, "nameservers", {"nameserver_list": list(nameservers)})

    async def set_ds(self, fqdn: str, ds: tuple[DsRecord, ...]) -> None:
        """Ensure these DS: those that are not wanted go with all the others, and the wanted ones are put again."""
        held = {one.identity for one in await self._ds(fqdn)}
        if held - {one.identity for one in ds}:
            await self._call("DELETE", fqdn, "dnssec")
            held = set()
        for one in ds:
            if one.identity not in held:
                await self._call("PUT", fqdn, "dnssec", written(one))

    async def rollback(self, fqdn: str, former: Delegation) -> None:
        """Ensure the former name servers, and then the DS that fit them."""
        await self.set(fqdn, former.nameservers)
        await self.set_ds(fqdn, former.ds or ())

    async def _ds(self, fqdn: str) -> tuple[DsRecord, ...]:
        found = await self._call("GET", fqdn, "dnssec")
        return tuple(ds_in(row) for row in found.get("dnssec_info_list") or ())

    async def _call(self, method: str, fqdn: str, what: str, body: Any = None) -> dict[str, Any]:
        path = f"/restful/v2/domains/{fqdn}/{what}"
        request_id = str(uuid.uuid4())
        text = json_of(body) if body is not None else ""
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self.parts['api_key']}",
            "X-Request-ID": request_id,
            "X-Signature": signature(self.parts, path, request_id, text),
        }
        said = await self.caller.send(method, path, headers=headers, body=body)
        fields = said.fields()
        told = str(fields.get("code") or said.status)
        code = int(told) if told.isdecimal() else said.status
        if code >= HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(said, code, fields, fqdn)
        data = fields.get("data")
        return data if isinstance(data, dict) else {}


def signature(parts: Mapping[str, str], path: str, request_id: str, body: str) -> str:
    """The signature of a call."""
    signed = "\n".join((parts["api_key"], path, request_id, body))
    return base64.b64encode(hmac.digest(parts["api_secret"].encode(), signed.encode(), "sha256")).decode()


def names_in(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The name servers in an answer. The vendor's page shows two shapes; both are read."""
    with understood(_NAME):
        rows = data["nameserver_list"] if "nameserver_list" in data else data["name_servers"]
        return tuple(host(_name_in(row)) for row in rows or ())


def ds_in(row: Mapping[str, Any]) -> DsRecord:
    """One DS in an answer."""
    with understood(_NAME):
        return DsRecord(
            key_tag=int(row["key_tag"]),
            algorithm=_number(row["algorithm"]),
            digest_type=_number(row["digest_type"]),
            digest=str(row["digest"]).lower(),
        )


def written(one: DsRecord) -> dict[str, Any]:
    """One DS as it is put: the fields of the other form (by key) have to be there, empty."""
    return {
        "key_tag": one.key_tag,
        "digest_type": str(one.digest_type),
        "digest": one.digest,
        "algorithm": str(one.algorithm),
        "flags": "",
        "public_key": "",
    }


def refusal(said: Said, code: int, fields: Mapping[str, Any], fqdn: str) -> Exception:
    """What a code other than success means."""
    detail = fields.get("error")
    told = f"{code}: {fields.get('message', '')}"
    if isinstance(detail, dict) and detail.get("description"):
        told = f"{told}: {detail['description']}"
    match code:
        case HTTPStatus.UNAUTHORIZED:
            return said.refused("registrar-unauthorized", told)
        case HTTPStatus.NOT_FOUND:
            return said.missing(fqdn)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return said.limited()
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return said.down(told)
    return said.refused("registrar-refused", told)


def _name_in(row: Any) -> str:
    return str(row if isinstance(row, str) else row.get("server_name") or row.get("ns_name") or row["host"])


def _number(value: object) -> int:
    found = _NUMBER.search(str(value))
    if found is None:
        raise ValueError(f"{value!r} ends with no number of an algorithm or digest type")
    return int(found[1] or found[2])


@asynccontextmanager
async def connect(parts: Mapping[str, str], root: str) -> AsyncIterator[Dynadot]:
    """An account, opened with its credentials."""
    async with calling(_NAME, root) as caller:
        yield Dynadot(caller, parts)


ADAPTER: Final = Adapter("https://api.dynadot.com", REGISTRAR_PARTS["dynadot"], connect)
