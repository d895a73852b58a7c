"""Simulated Namecheap: XML, HTTP 200 whatever happened, and errors by number."""

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from sandbox.registrars.account import Account, Domain

DEFAULT: Final = ["dns1.registrar-servers.com", "dns2.registrar-servers.com"]
_MOST: Final = 12
_LEAST: Final = 2


async def answer(account: Account, request: web.Request) -> web.StreamResponse:
    """One command."""
    form = {**request.query, **{key: str(value) for key, value in (await request.post()).items()}}
    if (refusal := _refused(account, form, request.remote)) is not None:
        return refusal
    name = f"{form.get('SLD', '')}.{form.get('TLD', '')}".lower()
    if (domain := account.domains.get(name)) is None:
        return _error("2019166", "Domain name not found")
    command = form.get("Command", "").lower()
    match command.removeprefix("namecheap.domains.dns."):
        case "getlist":
            return _result(command, _listed(name, domain))
        case "setcustom":
            return _set_custom(account, command, name, form.get("Nameservers", ""))
        case "setdefault":
            account.change(name, nameservers=DEFAULT, by_default=True)
            return _result(command, f"<DomainDNSSetDefaultResult Domain={quoteattr(name)} Updated='true' />")
    return _error("1010104", "Parameter Command is missing or unknown")


def _refused(account: Account, form: Mapping[str, str], remote: str | None) -> web.Response | None:
    """What is wrong with the caller."""
    if not account.take():
        return _error("500000", "Too many requests")
    if form.get("ApiUser") != account.credentials["api_user"]:
        return _error("1010101", "Parameter APIUser is missing or unknown")
    if form.get("ApiKey") != account.credentials["api_key"]:
        return _error("1011102", "API Key is invalid or API access has not been enabled")
    if not account.caller_allowed or form.get("ClientIp") != account.credentials["client_ip"]:
        return _error("1011150", f"Invalid request IP: {remote}")
    return None


def _set_custom(account: Account, command: str, name: str, given: str) -> web.Response:
    servers = [server for server in given.split(",") if server]
    if len(servers) < _LEAST:
        return _error("2011147", "Too few name servers")
    if len(servers) > _MOST:
        return _error("2011148", "Too many name servers")
    if len(set(servers)) < len(servers):
        return _error("2011149", "Duplicate name servers")
    if account.domains[name].busy:
        return _error("2015166", "Failed to update domain")
    account.change(name, nameservers=servers, by_default=False)
    return _result(command, f"<DomainDNSSetCustomResult Domain={quoteattr(name)} Updated='true' />")


def _listed(name: str, domain: Domain) -> str:
    own = "true" if domain.by_default else "false"
    rows = "".join(f"<Nameserver>{escape(server)}</Nameserver>" for server in domain.nameservers)
    told = f"Domain={quoteattr(name)} IsUsingOurDNS='{own}'"
    return f"<DomainDNSGetListResult {told}>{rows}</DomainDNSGetListResult>"


def _result(command: str, inner: str) -> web.Response:
    return _xml("OK", f"<Errors /><CommandResponse Type={quoteattr(command)}>{inner}</CommandResponse>")


def _error(number: str, text: str) -> web.Response:
    return _xml("ERROR", f'<Errors><Error Number="{number}">{escape(text)}</Error></Errors><CommandResponse />')


def _xml(status: str, inner: str) -> web.Response:
    head = '<?xml version="1.0" encoding="utf-8"?>'
    space = "http://api.namecheap.com/xml.response"
    text = f'{head}<ApiResponse Status="{status}" xmlns="{space}">{inner}</ApiResponse>'
    return web.Response(text=text, content_type="text/xml")
