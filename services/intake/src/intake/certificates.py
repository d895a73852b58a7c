"""Certificates per pool domain: Let's Encrypt issues 50 a week for one registered domain, all customers together.

Each life of a Sovereign gets one certificate for all its names. It is noted when the probes saw it, once per life, and
forgotten after eight days. What a Sovereign renews by itself later is not seen, and does not count there either: the
CA exempts renewals.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bus import Bucket, Conflict
from contracts.drafting import CertificateCount
from contracts.flux import ProbePassed
from contracts.history import History
from contracts.identity import fqdn_of

WEEK: Final = timedelta(days=7)
_KEPT_S: Final = 8 * 86_400


class Certificates:
    """Notes and counts."""

    def __init__(self, bucket: Bucket, pool_domains: Sequence[str]) -> None:
        self._bucket = bucket
        self._pools = tuple(pool_domains)

    async def note(self, history: History) -> None:
        """Note the certificate of a life whose hosts answered with one of the CA; a staging one does not count."""
        passed = history.last(ProbePassed)
        if passed is None or not any(host.issuer and not host.staging_issuer for host in passed.event.data.hosts):
            return
        fqdn = fqdn_of(history.sovereign)
        pool = next((pool for pool in self._pools if fqdn.endswith(f".{pool}")), None)
        if pool is None:
            return
        key = f"certificate.{_token(pool)}.{history.sovereign}.{passed.event.life}"
        try:
            await self._bucket.create(key, passed.event.time.isoformat().encode(), ttl_s=_KEPT_S)
        except Conflict:
            return  # Noted already: the first one of the life counts.

    async def counts(self, now: datetime | None = None) -> tuple[CertificateCount, ...]:
        """How many were issued within a week, by pool domain."""
        since = (now or datetime.now(UTC)) - WEEK
        found = []
        for pool in self._pools:
            noted = await self._bucket.values(f"certificate.{_token(pool)}.*.*")
            issued = sum(datetime.fromisoformat(item.value.decode()) > since for item in noted)
            found.append(CertificateCount(domain=pool, issued=issued))
        return tuple(found)


def _token(domain: str) -> str:
    return domain.replace(".", "_")
