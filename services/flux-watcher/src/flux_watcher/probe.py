"""Adapter: what the world sees of a Sovereign. DNS by given resolvers, TLS against given roots, HTTP at the addresses.

Each host is looked at the way a browser would, step by step, and the first step that does not hold gives the reason:
the name resolves, to the load balancer; the certificate chain leads to a trusted root and has days left (one of a
staging issuer is told apart); the page answers. Resolvers, roots and port are settings, so the sandbox is looked at by
the same code.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import dns.asyncresolver
import dns.exception
import dns.resolver
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.x509.oid import NameOID

from contracts.errors import Trouble, trouble
from contracts.flux import HostProbe

STAGING_WORDS: Final = ("staging", "fake le", "pebble")
FEWEST_DAYS: Final = 7
_MOST_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Target:
    """One address of a Sovereign."""

    host: str
    path: str = "/"
    exactly_ok: bool = False
    """Only 200 will do; else any answer that is neither an error of the server nor "not found"."""


def targets_of(fqdn: str) -> tuple[Target, ...]:
    """Console, Gitea, admin, and the Keycloak realm that people sign in to (served beside admin)."""
    return (
        Target(f"console.{fqdn}"),
        Target(f"gitea.{fqdn}"),
        Target(f"admin.{fqdn}"),
        Target(f"admin.{fqdn}", "/realms/catalyst-admin", exactly_ok=True),
    )


@dataclass(frozen=True)
class Look:
    """How to look."""

    resolvers: tuple[tuple[str, int], ...] = ()
    """Address and port; the system's own where none are given."""
    roots: Path | None = None
    """PEM file of trust roots; the system's own where none is given."""
    https_port: int = 443
    timeout_s: float = 10


class _Failed(Exception):
    def __init__(self, reason: str, **seen: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seen = seen


@dataclass
class Prober:
    """Looks at hosts."""

    look: Look
    _resolver: dns.asyncresolver.Resolver | None = field(default=None)

    async def hosts(self, fqdn: str, address: str) -> tuple[HostProbe, ...]:
        """Every host of a Sovereign, at the same time."""
        return tuple(await asyncio.gather(*(self.host(target, address) for target in targets_of(fqdn))))

    async def host(self, target: Target, address: str) -> HostProbe:
        """One host; the reason is empty when it holds."""
        port = "" if self.look.https_port == 443 else f":{self.look.https_port}"  # noqa: PLR2004 - HTTPS
        found = HostProbe(host=target.host, url=f"https://{target.host}{port}{target.path}")
        try:
            async with asyncio.timeout(self.look.timeout_s):
                addresses = await self._resolve(target.host)
                found = replace_probe(found, addresses=addresses)
                if address and address not in addresses:
                    raise _Failed(f"dns: {', '.join(addresses)} instead of the load balancer {address}")
                found = replace_probe(found, **await self._handshake(target.host, addresses[0]))
                status = await self._page(found.url, target.host, addresses[0])
                found = replace_probe(found, status=status)
                _judge_status(target, status)
        except _Failed as failed:
            return replace_probe(found, reason=failed.reason, **failed.seen)
        except TimeoutError:
            return replace_probe(found, reason=f"http: no answer within {self.look.timeout_s:g} s")
        return found

    async def _resolve(self, host: str) -> tuple[str, ...]:
        resolver = self._resolver = self._resolver or self._make_resolver()
        try:
            answer = await resolver.resolve(host, "A", raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            raise _Failed("dns: the name does not exist") from None
        except (dns.exception.DNSException, OSError) as error:
            raise _Failed(f"dns: no resolver answers ({type(error).__name__})") from None
        addresses = tuple(sorted(item.address for item in answer.rrset or ()))
        if not addresses:
            raise _Failed("dns: the name has no address")
        return addresses

    def _make_resolver(self) -> dns.asyncresolver.Resolver:
        if not self.look.resolvers:
            resolver = dns.asyncresolver.Resolver()
        else:
            resolver = dns.asyncresolver.Resolver(configure=False)
            resolver.nameservers = [address for address, _ in self.look.resolvers]
            resolver.nameserver_ports = dict(self.look.resolvers)
        resolver.cache = None
        resolver.lifetime = self.look.timeout_s / 2
        return resolver

    async def _handshake(self, host: str, address: str) -> dict[str, Any]:
        """A handshake with the name at the address: issuer and days left, or why it does not hold."""
        try:
            return _judged(await self._certificate(host, address, self._context()))
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message
        except ssl.SSLError as error:
            raise _Failed(f"tls: {error.reason or 'handshake failed'}") from None
        except OSError as error:
            raise _Failed(f"http: connection to {address} failed ({type(error).__name__})") from None
        raise await self._untrusted(host, address, why)

    async def _untrusted(self, host: str, address: str, why: str) -> _Failed:
        """Look again without trust, only to name the issuer: a staging one is a reason of its own."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            certificate = await self._certificate(host, address, context)
        except (OSError, ssl.SSLError):
            return _Failed(f"tls: {why}")
        seen = _described(certificate)
        if seen["staging_issuer"]:
            return _Failed("tls: the certificate is of a staging issuer", **seen)
        return _Failed(f"tls: {why}", **seen)

    async def _certificate(self, host: str, address: str, context: ssl.SSLContext) -> x509.Certificate:
        _, writer = await asyncio.open_connection(
            address, self.look.https_port, ssl=context, server_hostname=host, limit=_MOST_BYTES
        )
        try:
            binary = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()
        return x509.load_der_x509_certificate(binary)

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.look.roots) if self.look.roots else None)

    async def _page(self, url: str, host: str, address: str) -> int:
        """The status of the page, fetched from this very address without following redirects."""
        connector = aiohttp.TCPConnector(resolver=_Fixed(host, address), ssl=self._context(), use_dns_cache=False)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, trust_env=False) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                return response.status
        except (aiohttp.ClientError, OSError) as error:
            raise _Failed(f"http: {type(error).__name__}") from None


class _Fixed(AbstractResolver):
    """Answers with the address that our own resolvers gave, for this one name."""

    def __init__(self, host: str, address: str) -> None:
        self._host, self._address = host, address

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # noqa: ARG002 - the port's shape
        return [ResolveResult(hostname=host, host=self._address, port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is held."""


def replace_probe(probe: HostProbe, **changes: Any) -> HostProbe:
    """A probe with some fields changed."""
    return probe.model_copy(update=changes)


def _described(certificate: x509.Certificate) -> dict[str, Any]:
    parts = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    names = [str(a.value) for oid in parts for a in certificate.issuer.get_attributes_for_oid(oid)]
    issuer = ", ".join(names)[:200]
    return {
        "issuer": issuer,
        "staging_issuer": any(word in issuer.lower() for word in STAGING_WORDS),
        "certificate_days": (certificate.not_valid_after_utc - datetime.now(UTC)).days,
    }


def _judged(certificate: x509.Certificate) -> dict[str, Any]:
    seen = _described(certificate)
    if seen["certificate_days"] < FEWEST_DAYS:
        raise _Failed(f"tls: the certificate has {seen['certificate_days']} days left", **seen)
    return seen


def _judge_status(target: Target, status: int) -> None:
    if target.exactly_ok and status != 200:  # noqa: PLR2004 - HTTP
        raise _Failed(f"http: status {status} instead of 200")
    if status == 404 or status >= 500:  # noqa: PLR2004 - HTTP
        raise _Failed(f"http: status {status}")


def trouble_of(hosts: Sequence[HostProbe]) -> Trouble:
    """What the failing hosts have in common, told by the first of them."""
    first = next(host for host in hosts if host.reason)
    code = {"dns": "dns-not-visible", "tls": "certificate-failed"}.get(first.reason.split(":", 1)[0], "url-unreachable")
    return trouble(code, attempted=f"open {first.url}", on=first.host, message=first.reason)


__all__ = ["Look", "Prober", "Target", "targets_of", "trouble_of"]
