"""Namecheap: XML answers that are HTTP 200 whatever happened; what went wrong is a number in them.

Its API knows no DS. Everything is posted as a form, so that the key stands in no address. The caller's IPv4 address is
part of the credentials: it has to be on the account's allow-list, and is sent with every call.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from contracts.dns import Delegation, DsRecord
from contracts.request import REGISTRAR_PARTS
from dns_pdm.registrars.calls import Caller, Said, calling, host, no_ds, same_hosts
from dns_pdm.registrars.port import Adapter

_NAME: Final = "namecheap"
_SPACE: Final = "{http://api.namecheap.com/xml.response}"
_COMMANDS: Final = "namecheap.domains.dns."
_UNAUTHORIZED: Final = {"1010101", "1010102", "1011102", "1016103", "1017101", "1017103", "1019103", "1030408"}
_CALLER: Final = {"1010105", "1011105", "1011150", "1017105", "1017150"}
_NOT_OURS: Final = {"2016166", "2019166"}
_LIMITED: Final = {"500000", "1017411"}
_TROUBLED: Final = {"1050900", "2015166", "3031510", "3050900", "4022288", "5050900"}


@dataclass(frozen=True)
class Namecheap:
    """An account at Namecheap."""

    caller: Caller
    parts: Mapping[str, str]

    async def validate(self, fqdn: str) -> Delegation:
        """The name servers, read with these credentials."""
        return await self.get(fqdn)

    async def get(self, fqdn: str) -> Delegation:
        """The name servers, and whether they are Namecheap's own by default."""
        found = await self._call("getList", fqdn, "DomainDNSGetListResult")
        servers = tuple(host(row.text or "") for row in found.iter(f"{_SPACE}Nameserver"))
        return Delegation(nameservers=servers, by_default=found.get("IsUsingOurDNS", "").lower() == "true")

    async def set(self, fqdn: str, nameservers: tuple[str, ...]) -> None:
        """Ensure these name servers."""
        if not same_hosts((await self.get(fqdn)).nameservers, nameservers):
            await self._call("setCustom", fqdn, "DomainDNSSetCustomResult", Nameservers=",".join(nameservers))

    async def set_ds(self, fqdn: str, ds: tuple[DsRecord, ...]) -> None:  # noqa: ARG002 - the port's shape
        """Not by this API."""
        raise no_ds(_NAME)

    async def rollback(self, fqdn: str, former: Delegation) -> None:
        """Ensure the former name servers, or Namecheap's default."""
        if not former.by_default:
            await self.set(fqdn, former.nameservers)
        elif not (await self.get(fqdn)).by_default:
            await self._call("setDefault", fqdn, "DomainDNSSetDefaultResult")

    async def _call(self, command: str, fqdn: str, wanted: str, **more: str) -> ET.Element:
        label, _, suffix = fqdn.partition(".")
        form = {
            "ApiUser": self.parts["api_user"],
            "ApiKey": self.parts["api_key"],
            "UserName": self.parts["api_user"],
            "ClientIp": self.parts["client_ip"],
            "Command": _COMMANDS + command,
            "SLD": label,
            "TLD": suffix,
            **more,
        }
        return read(await self.caller.send("POST", "", form=form), fqdn, wanted)


def read(said: Said, fqdn: str, wanted: str) -> ET.Element:
    """The result in an answer; its errors by number."""
    if said.status in {405, 429}:  # its gateway's way to say that there were too many calls
        raise said.limited()
    try:
        root = ET.fromstring(said.text)  # noqa: S314 - from the account's registrar; expat bounds expansion
    except ET.ParseError:
        raise said.down(f"answers {said.status} without XML") from None
    errors = {row.get("Number", ""): (row.text or "").strip() for row in root.iter(f"{_SPACE}Error")}
    if errors or root.get("Status") != "OK":
        raise _refusal(said, fqdn, errors)
    result = root.find(f".//{_SPACE}{wanted}")
    if result is None:
        raise said.down(f"answers without {wanted}")
    if "false" in {result.get("Updated", "").lower(), result.get("Update", "").lower()}:
        raise said.down("did not make the change, without saying why")
    return result


def _refusal(said: Said, fqdn: str, errors: Mapping[str, str]) -> Exception:
    numbers = set(errors)
    told = "; ".join(f"{number}: {text}" for number, text in errors.items()) or "an error without a number"
    if numbers & _LIMITED:
        return said.limited()
    if numbers & _CALLER:
        return said.refused("registrar-caller-refused", told)
    if numbers & _UNAUTHORIZED:
        return said.refused("registrar-unauthorized", told)
    if numbers & _NOT_OURS:
        return said.missing(fqdn)
    if numbers & _TROUBLED or not numbers:
        return said.down(told)
    return said.refused("registrar-refused", told)


@asynccontextmanager
async def connect(parts: Mapping[str, str], root: str) -> AsyncIterator[Namecheap]:
    """An account, opened with its credentials."""
    async with calling(_NAME, root) as caller:
        yield Namecheap(caller, parts)


ADAPTER: Final = Adapter("https://api.namecheap.com/xml.response", REGISTRAR_PARTS["namecheap"], connect)
