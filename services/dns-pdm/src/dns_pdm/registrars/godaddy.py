"""GoDaddy, version 1 of its domains API: one domain's document, patched.

DS are in version 2 only, under a customer number that these credentials do not tell: none are touched here. A change
shows after some minutes; meanwhile the domain refuses another one (422 that names no field).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from contracts.dns import Delegation, DsRecord
from contracts.request import REGISTRAR_PARTS
from dns_pdm.registrars.calls import Caller, Said, calling, host, no_ds, same_hosts, understood
from dns_pdm.registrars.port import Adapter

_NAME: Final = "godaddy"


@dataclass(frozen=True)
class GoDaddy:
    """An account at GoDaddy."""

    caller: Caller
    parts: Mapping[str, str]

    async def validate(self, fqdn: str) -> Delegation:
        """The name servers, read with these credentials."""
        return await self.get(fqdn)

    async def get(self, fqdn: str) -> Delegation:
        """The name servers."""
        found = await self._call("GET", fqdn)
        with understood(_NAME):
            return Delegation(nameservers=tuple(host(name) for name in found["nameServers"] or ()))

    async def set(self, fqdn: str, nameservers: tuple[str, ...]) -> None:
        """Ensure these name servers."""
        if not same_hosts((await self.get(fqdn)).nameservers, nameservers):
            await self._call("PATCH", fqdn, {"nameServers": list(nameservers)})

    async def set_ds(self, fqdn: str, ds: tuple[DsRecord, ...]) -> None:  # noqa: ARG002 - the port's shape
        """Not by this API."""
        raise no_ds(_NAME)

    async def rollback(self, fqdn: str, former: Delegation) -> None:
        """Ensure the former name servers."""
        await self.set(fqdn, former.nameservers)

    async def _call(self, method: str, fqdn: str, body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": f"sso-key {self.parts['key']}:{self.parts['secret']}"}
        said = await self.caller.send(method, f"/v1/domains/{fqdn}", headers=headers, body=body)
        if not said.good:
            raise refusal(said, fqdn)
        return said.fields()


def refusal(said: Said, fqdn: str) -> Exception:
    """What a status other than success means; the code and the fields are in the body."""
    fields = said.fields()
    rows = fields.get("fields") or ()
    named = "".join(f"; {row.get('path')}: {row.get('message')}" for row in rows)
    told = f"{fields.get('code', said.status)}: {fields.get('message', '')}{named}"
    match said.status:
        case HTTPStatus.UNAUTHORIZED:
            return said.refused("registrar-unauthorized", told)
        case HTTPStatus.FORBIDDEN:
            # It knows the caller, and keeps this API for accounts with many domains or a plan.
            return said.refused("registrar-refused", f"{told}; GoDaddy opens this API to accounts with ten domains")
        case HTTPStatus.NOT_FOUND:
            return said.missing(fqdn)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return said.limited(fields.get("retryAfterSec"))
    if said.status == HTTPStatus.CONFLICT or (said.status == HTTPStatus.UNPROCESSABLE_ENTITY and not rows):
        return said.down(told)  # another change of this domain is under way
    return said.refused("registrar-refused", told)


@asynccontextmanager
async def connect(parts: Mapping[str, str], root: str) -> AsyncIterator[GoDaddy]:
    """An account, opened with its credentials."""
    async with calling(_NAME, root) as caller:
        yield GoDaddy(caller, parts)


ADAPTER: Final = Adapter("https://api.godaddy.com", REGISTRAR_PARTS["godaddy"], connect)
