"""The chain of trust between a parent's DS, a zone's keys and its signatures, and what exactly is wrong with it."""

from datetime import UTC, datetime

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from dns_pdm.asking import record_set


def hosts(ns: dns.rrset.RRset | None) -> tuple[str, ...]:
    """The host names of an NS set, in order, without the final dot."""
    return tuple(sorted(str(one.target).lower().removesuffix(".") for one in ns or ()))


def fits(zone: str, ds: dns.rrset.RRset, keys: dns.rrset.RRset) -> bool:
    """Whether a DS is the digest of one of the keys (RFC 4034, section 5.2)."""
    apex = dns.name.from_text(zone)
    for one in ds:
        for key in keys:
            if dns.dnssec.key_id(key) != one.key_tag or key.algorithm != one.algorithm:
                continue
            try:
                made = dns.dnssec.make_ds(apex, key, one.digest_type, validating=True)
            except dns.exception.DNSException:
                continue
            if made.digest == one.digest:
                return True
    return False


def signature_trouble(zone: str, soa: dns.message.Message, dnskey: dns.message.Message) -> str:
    """What is wrong with the signatures of SOA and DNSKEY; empty when they hold or the zone shows no keys."""
    apex = dns.name.from_text(zone)
    keys = record_set(dnskey, zone, dns.rdatatype.DNSKEY)
    if keys is None:
        return ""
    for message, kind in ((dnskey, dns.rdatatype.DNSKEY), (soa, dns.rdatatype.SOA)):
        name = dns.rdatatype.to_text(kind)
        signed = record_set(message, zone, kind)
        signature = message.get_rrset(message.answer, apex, dns.rdataclass.IN, dns.rdatatype.RRSIG, kind)
        if signed is None or signature is None:
            return f"shows keys, but its {name} is not signed"
        try:
            dns.dnssec.validate(signed, signature, {apex: keys})
        except dns.exception.DNSException as error:
            return f"the signature of its {name} {_why(signature, error)}"
    return ""


def _why(signature: dns.rrset.RRset, error: dns.exception.DNSException) -> str:
    ends = max(datetime.fromtimestamp(one.expiration, UTC) for one in signature)
    return f"expired at {ends.isoformat()}" if ends < datetime.now(UTC) else f"does not hold ({error})"
