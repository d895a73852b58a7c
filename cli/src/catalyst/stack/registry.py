"""The registry of customers' own domains: the zone above them, on a PowerDNS of its own.

What a customer pastes at a registrar ends up here. The registry is simulated, the server and its answers are real:
dns-pdm asks it as it would ask the servers of a top-level domain.
"""

import asyncio
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import dns.rdatatype
import dns.rrset

from catalyst.stack.powerdns import PowerDns

CUSTOMER_ZONE: Final = "example.om"
"""Below it lie the domains that customers bring."""
HOSTS: Final = ("ns1.registry.example.om", "ns2.registry.example.om")
_TTL_S: Final = 5
"""Short, so that nobody who watches waits for caches; a real registry has hours."""
_WITHIN_S: Final = 5.0


class RegistryFailed(RuntimeError):
    """The registry's server refused a change."""


class Registry:
    """The zone, and what stands in it for a customer's domain."""

    def __init__(self, server: PowerDns) -> None:
        self.server = server
        # On sqlite a change that meets another one fails: several customers paste at once.
        self._turns = asyncio.Lock()

    async def open(self) -> None:
        """Start the server and make the zone unless it is there."""
        await self.server.start()
        apex = f"{CUSTOMER_ZONE}."
        soa = f"{HOSTS[0]}. hostmaster.{apex} 0 10800 3600 604800 {_TTL_S}"
        body = {
            "name": apex,
            "kind": "Native",
            "nameservers": [],
            "rrsets": [_row(apex, "SOA", [soa]), _row(apex, "NS", [f"{host}." for host in HOSTS])],
            "soa_edit_api": "DEFAULT",
        }
        await self._call("POST", "", body, fine=(HTTPStatus.CREATED, HTTPStatus.CONFLICT))

    async def says(self, fqdn: str) -> tuple[frozenset[str], frozenset[str]]:
        """What its name server answers when it is asked for this name: NS hosts, and DS as text."""
        referral, held = [await self.server.ask(fqdn, kind) for kind in ("NS", "DS")]
        return _told(referral.authority, dns.rdatatype.NS), _told(held.answer, dns.rdatatype.DS)

    async def delegate(self, fqdn: str, nameservers: Sequence[str], ds: Sequence[str] = ()) -> None:
        """What a customer enters: these name servers, and these DS (tag, algorithm, digest type, digest)."""
        rows = [_row(f"{fqdn}.", "NS", [f"{host}." for host in nameservers]), _row(f"{fqdn}.", "DS", ds)]
        await self._call("PATCH", f"/{CUSTOMER_ZONE}.", {"rrsets": rows}, fine=(HTTPStatus.NO_CONTENT,))

    async def _call(self, method: str, path: str, body: Any, *, fine: tuple[HTTPStatus, ...]) -> None:
        url = f"{self.server.api_url}/api/v1/servers/localhost/zones{path}"
        timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
        async with (
            self._turns,
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, json=body, headers={"X-API-Key": self.server.api_key}) as answer,
        ):
            if answer.status not in fine:
                raise RegistryFailed(f"the registry refused {method} {path}: {answer.status} {await answer.text()}")


def _told(section: Iterable[dns.rrset.RRset], kind: dns.rdatatype.RdataType) -> frozenset[str]:
    return frozenset(str(one).removesuffix(".") for held in section if held.rdtype == kind for one in held)


def _row(name: str, kind: str, contents: Sequence[str]) -> dict[str, Any]:
    if not contents:
        return {"name": name, "type": kind, "changetype": "DELETE"}
    records = [{"content": text, "disabled": False} for text in contents]
    return {"name": name, "type": kind, "ttl": _TTL_S, "changetype": "REPLACE", "records": records}
