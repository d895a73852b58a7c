"""Delegations inside a pool zone, changed by DNS UPDATE (RFC 2136): what it costs does not grow with the pool.

PowerDNS's API rectifies a signed zone whole after each change, which took 110 ms at 2,000 Sovereigns and grows on; an
update touches the names that it names (7 ms). And an update has prerequisites: it holds only while everything at the
name still is what was found there. See docs/adr/0016-pool-delegations.md.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.tsig
import dns.update
from pydantic import SecretStr

from bus import TryAgain
from dns_pdm.powerdns import CALL_WITHIN_S, TSIG_ALGORITHM, ServerDown
from dns_pdm.zones import Change, RecordSet, absolute

PURPOSE: Final = "pool-delegations"
_KINDS: Final = ("NS", "DS")
"""What a delegation consists of."""
_OVERTAKEN: Final = frozenset({dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.NXDOMAIN})
_NOT_ADMITTED: Final = frozenset({dns.rcode.REFUSED, dns.rcode.NOTAUTH})


class Admitting(Protocol):
    """The DNS server, as far as it says whose updates it takes."""

    async def admit_updates(self, fqdn: str, keys: Mapping[str, SecretStr], names: Iterable[str]) -> None:
        """Make these TSIG keys (name to base64 secret); let exactly those of these names change the zone."""
        ...


@dataclass(frozen=True)
class PoolUpdates:
    """Changes delegations on the server that is written to, with a key of our own for each pool zone."""

    admitting: Admitting
    server: str
    """``host:port``."""
    minting_key: SecretStr
    """What the keys are derived from: the same for all replicas."""
    turns: asyncio.Lock
    """Shared with the API: on sqlite a change that meets another one fails."""

    async def delegate(
        self, pool: str, fqdn: str, found: Iterable[RecordSet], changes: Iterable[Change]
    ) -> None:  # fmt: skip
        """Apply changes at one name, all or none, if it still holds exactly what was found; TryAgain when not."""
        message = dns.update.UpdateMessage(absolute(pool))
        _expect(message, fqdn, {item.type: item for item in found})
        for change in changes:
            if change.records is None:
                message.delete(absolute(change.name), change.type)
            else:
                message.replace(
                    absolute(change.name), change.records.ttl_s, change.type, *change.records.content
                )  # fmt: skip
        key = self._key(pool)
        message.use_tsig(key)
        code = await self._send(message)
        if code in _NOT_ADMITTED:
            # The zone is new, was put back, or admits the key of another minting key.
            name, secret = key.name.to_text(omit_final_dot=True), SecretStr(base64.b64encode(key.secret).decode())
            await self.admitting.admit_updates(pool, {name: secret}, [name])
            code = await self._send(message)
        if code in _OVERTAKEN:
            raise TryAgain(f"{fqdn}: its delegation in {pool} was changed by somebody else just now")
        if code != dns.rcode.NOERROR:
            raise ServerDown(f"PowerDNS answers an update of {pool} with {dns.rcode.to_text(code)}")

    def _key(self, pool: str) -> dns.tsig.Key:
        secret = hmac.digest(self.minting_key.get_secret_value().encode(), f"{PURPOSE}|{pool}".encode(), "sha256")
        name = f"catalyst-pool-{hashlib.sha256(secret).hexdigest()[:8]}.{absolute(pool)}"
        return dns.tsig.Key(dns.name.from_text(name), secret, TSIG_ALGORITHM)

    async def _send(self, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        host, _, port = self.server.rpartition(":")
        try:
            async with self.turns, asyncio.timeout(CALL_WITHIN_S):
                [(*_, address), *_] = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port))
                answer = await dns.asyncquery.tcp(message, str(address[0]), port=int(port))
        except dns.exception.FormError:
            return dns.rcode.NOTAUTH  # a key that the server does not know is answered without a signature
        except (dns.exception.DNSException, OSError, EOFError, TimeoutError) as error:
            raise ServerDown(f"PowerDNS does not answer an update at {self.server}: {type(error).__name__}") from None
        return answer.rcode()


def _expect(message: dns.update.UpdateMessage, fqdn: str, found: Mapping[str, RecordSet]) -> None:
    name = absolute(fqdn)
    if not found:
        message.absent(name)
    for kind in _KINDS if found else ():
        if kind in found:
            message.present(name, kind, *found[kind].content)
        else:
            message.absent(name, kind)
