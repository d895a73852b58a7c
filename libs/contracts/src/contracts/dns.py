"""DNS of a Sovereign, said by dns-pdm: its zone, its delegation, and what is taken away again."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from contracts.errors import Trouble
from contracts.event import Fact, Model
from contracts.identity import Digest
from contracts.request import SecretRef


class DsRecord(Model):
    """A delegation signer record, field by field as registrars ask for it (RFC 4034, section 5)."""

    key_tag: int = Field(ge=0, le=65535)
    algorithm: int
    digest_type: int
    digest: str
    dnskey: str = Field(
        default="",
        description="The key of which it is the digest, as a DNSKEY record holds it: some registrars want that.",
    )

    @property
    def identity(self) -> tuple[int, int, int, str]:
        """What makes two of them the same: digests are hexadecimal in either case, not everybody tells the key."""
        return self.key_tag, self.algorithm, self.digest_type, self.digest.lower()


class Record(Model):
    """One record set of a zone. ``ttl_s`` in seconds."""

    name: str
    type: str
    ttl_s: int
    content: tuple[str, ...]


class Delegation(Model):
    """What a registrar holds for a domain: what the parent zone will say."""

    nameservers: tuple[str, ...] = Field(default=(), description="Host names in lower case without the final dot.")
    ds: tuple[DsRecord, ...] | None = Field(default=None, description="None where the registrar's API knows no DS.")
    by_default: bool = Field(
        default=False, description="The registrar's own servers by its default setting: put back by that setting."
    )


class ServerSays(Model):
    """What one name server answered about the delegation."""

    server: str
    side: Literal["parent", "child", "resolver"]
    nameservers: tuple[str, ...] = ()
    ds_key_tags: tuple[int, ...] = ()
    verdict: Literal["agrees", "differs", "lame", "silent"]
    cached_for_s: int = Field(default=0, description="How long resolvers may keep this answer, in seconds.")
    said: str = ""


class DnsReserved(Fact):
    """Zone and the Sovereign's own zone credential exist."""

    fact: ClassVar[str] = "dns.reserved"
    zone: str
    nameservers: tuple[str, ...]
    ds: tuple[DsRecord, ...] = ()
    credential: SecretRef | None = Field(default=None, description="Zone credential, sealed to tofu-runner.")
    registrar: Delegation | None = Field(
        default=None, description="byo-api: what the registrar held before anything of ours, read with the token."
    )


class DnsRefused(Fact):
    """The name cannot be used."""

    fact: ClassVar[str] = "dns.refused"
    trouble: Trouble


class DnsPublished(Fact):
    """The records are written and were read back."""

    fact: ClassVar[str] = "dns.published"
    zone: str
    serial: int
    records: tuple[Record, ...]
    foreign: tuple[str, ...] = Field(default=(), description="Names in the zone that are not ours and were left.")

    @property
    def key(self) -> str:
        """Each serial is a publication of its own."""
        return str(self.serial)


class DnsFlipped(Fact):
    """The registrar's name servers, or its DS, were changed."""

    fact: ClassVar[str] = "dns.flipped"
    registrar: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    former: Delegation | None = Field(
        default=None, description="What a decommission puts back: what stood there before anything of ours."
    )
    ds: tuple[DsRecord, ...] | None = Field(default=None, description="The DS that stand there now; None: not changed.")
    cached_for_s: int = Field(default=0, description="How long resolvers may keep what stood there, in seconds.")

    @property
    def key(self) -> str:
        """Name servers and DS are changed one after the other."""
        return "" if self.ds is None else f"ds-{len(self.ds)}"


class DnsAwaitingDelegation(Fact):
    """The owner has to paste these at the registrar; the next check comes by itself."""

    fact: ClassVar[str] = "dns.awaiting-delegation"
    nameservers: tuple[str, ...]
    ds: tuple[DsRecord, ...] = ()
    glue: tuple[str, ...] = ()
    servers: tuple[ServerSays, ...] = ()
    registrar: str = Field(default="", description="byo-api: what is being waited for at the registrar.")
    cached_for_s: int = Field(default=0, description="How long resolvers may keep the old answers, in seconds.")
    check: int = Field(default=1, ge=1, description="Which check this was.")
    next_check_at: AwareDatetime

    @property
    def key(self) -> str:
        """One fact per check."""
        return str(self.check)


class DnsDelegated(Fact):
    """Parent and child servers agree."""

    fact: ClassVar[str] = "dns.delegated"
    servers: tuple[ServerSays, ...]


class DnsPropagated(Fact):
    """So many of the given resolvers see it."""

    fact: ClassVar[str] = "dns.propagated"
    servers: tuple[ServerSays, ...]
    seen_by: int
    asked: int
    percent: int = Field(default=0, ge=0, le=100)
    cached_for_s: int = Field(default=0, description="How long the others may keep what they have, in seconds.")

    @property
    def key(self) -> str:
        """One fact per reached number."""
        return f"{self.seen_by}/{self.asked}"


class DnsFailed(Fact):
    """DNS of this Sovereign does not hold, and why."""

    fact: ClassVar[str] = "dns.failed"
    trouble: Trouble
    servers: tuple[ServerSays, ...] = ()


class DnsWithdrawn(Fact):
    """Decommission: credential, DS and records are gone, so no name points at an address we give up."""

    fact: ClassVar[str] = "dns.withdrawn"
    removed: tuple[str, ...] = ()
    cached_for_s: int = Field(default=0, description="How long resolvers may keep the DS that is gone, in seconds.")


class DnsReleased(Fact):
    """Decommission: zone, NS and name are gone; or, at a reprovision, kept for the next life."""

    fact: ClassVar[str] = "dns.released"
    zone: str
    proof: Digest | None = None
    restored: tuple[str, ...] = Field(default=(), description="Name servers that were put back at the registrar.")
    left: str = Field(default="", description="What the owner still has to undo at the registrar.")
    kept: bool = Field(default=False, description="True at a reprovision: the next life goes on with zone and name.")
