"""Which names a Sovereign may have: decided from the name and the rules alone, without asking anybody.

Pool domains are ours and hand out exactly one label each, so nothing can nest inside a pool. A domain of the
customer's own may be any name that is neither ours nor public; whether it lies in another Sovereign's zone, or
another's lies in it, shows from the zones that exist.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import idna
from publicsuffixlist import PublicSuffixList

from contracts.errors import REGISTRY, Trouble, trouble
from contracts.identity import MAX_FQDN_LENGTH, sovereign_id

Mode = Literal["pool", "byo-manual", "byo-api"]
Kind = Literal["free", "taken", "reserved", "nested", "invalid", "unmanaged"]

RESERVED_WORDS: Final = frozenset({
    "admin", "api", "app", "autoconfig", "autodiscover", "catalyst", "console", "dns", "docs", "flux", "ftp",
    "gitea", "harbor", "imap", "k8s", "keycloak", "localhost", "mail", "mx", "ns", "ns1", "ns2", "ns3", "ns4",
    "openbao", "openova", "pop", "postmaster", "powerdns", "smtp", "status", "support", "system", "vault",
    "vpn", "webmail", "wpad", "www",
})  # fmt: skip
"""First labels that no Sovereign gets under a pool domain: our own hosts, and names that clients trust blindly."""

_CODES: Final = {
    "reserved": "fqdn-reserved",
    "unmanaged": "fqdn-unmanaged",
    "nested": "fqdn-nested",
    "taken": "fqdn-taken",
    "invalid": "fqdn-invalid",
}


@dataclass(frozen=True)
class Rules:
    """What the operator configured about names."""

    pools: tuple[str, ...]
    reserved: frozenset[str] = RESERVED_WORDS
    suffixes: PublicSuffixList = field(default_factory=PublicSuffixList, compare=False)
    """Names below which others register theirs, such as ``co.uk``: publicsuffix.org's list."""


@dataclass(frozen=True)
class Verdict:
    """Free, or why not. ``fqdn`` is the name as it would be stored: lower case, ASCII, no trailing dot."""

    fqdn: str
    kind: Kind
    reason: str = ""
    code: str = ""
    """A narrower code than the kind's."""

    def trouble(self) -> Trouble:
        """The refusal as a fact carries it."""
        code = self.code or _CODES[self.kind]
        return trouble(code, attempted="take the name", on=self.fqdn, message=self.reason)


def normalise(name: str) -> str:
    """The stored form of a name: IDNA 2008 A-labels in lower case; ValueError says what is wrong with it."""
    text = name.strip().removesuffix(".").lower()
    if text.endswith("."):
        raise ValueError("a name ends with one dot at most")
    if text.startswith("*."):
        raise ValueError("a wildcard is no Sovereign's name; give the name itself")
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"{name!r} is no name by IDNA 2008: {error}") from None
    for label in text.split("."):
        if label.startswith("xn--"):
            try:
                idna.ulabel(label)
            except idna.IDNAError as error:
                raise ValueError(f"{label} stands for no name by IDNA 2008: {error}") from None
    _refuse_mixed_directions(text)
    return sovereign_id(text).replace("_", ".")


def _refuse_mixed_directions(text: str) -> None:
    """One label from right to left makes the whole name bidirectional: then each of its labels keeps RFC 5893's rule.

    The library judges labels one by one; it is told here which names are bidirectional as a whole.
    """
    if "xn--" not in text:
        return
    labels = [idna.ulabel(label) if label.startswith("xn--") else label for label in text.split(".") if label]
    if not any(_from_right_to_left(label) for label in labels):
        return
    try:
        for label in labels:
            idna.check_bidi(label, check_ltr=True)
    except idna.IDNAError as error:
        raise ValueError(f"{'.'.join(labels)} breaks the Bidi rule of IDNA 2008 (RFC 5893): {error}") from None


def _from_right_to_left(label: str) -> bool:
    return any(unicodedata.bidirectional(character) in {"R", "AL", "AN"} for character in label)


def judge(name: str, mode: Mode, rules: Rules) -> Verdict:
    """What the rules say of a name; ``free`` means that only other Sovereigns could still be in the way."""
    try:
        fqdn = normalise(name)
    except ValueError as error:
        code = str(error).partition(":")[0]
        return Verdict(name[: 2 * MAX_FQDN_LENGTH], "invalid", str(error), code if code in REGISTRY else "")
    return _judge_pool(fqdn, rules) if mode == "pool" else _judge_own(fqdn, rules)


def _judge_pool(fqdn: str, rules: Rules) -> Verdict:
    if fqdn in rules.pools:
        return Verdict(fqdn, "reserved", f"{fqdn} is the pool domain itself; put a label of your own before it")
    pool = pool_of(fqdn, rules)
    if pool is None:
        return Verdict(fqdn, "unmanaged", f"pool domains are {', '.join(rules.pools) or 'none'}")
    label = fqdn.removesuffix(f".{pool}")
    if "." in label:
        return Verdict(fqdn, "nested", f"names in {pool} have one label before it; {label.rsplit('.', 1)[1]}.{pool} "
                                       "and what is below it belong to one Sovereign")  # fmt: skip
    if label in rules.reserved:
        return Verdict(fqdn, "reserved", f"the label {label!r} is reserved in {pool}")
    return Verdict(fqdn, "free")


def _judge_own(fqdn: str, rules: Rules) -> Verdict:
    if pool := next((pool for pool in rules.pools if fqdn == pool or _below(fqdn, pool)), None):
        return Verdict(fqdn, "reserved", f"{pool} is a pool domain: ask for the name with mode pool")
    if pool := next((pool for pool in rules.pools if _below(pool, fqdn)), None):
        return Verdict(fqdn, "reserved", f"the pool domain {pool} lies below it")
    if rules.suffixes.privatesuffix(fqdn) is None:
        reason = f"{fqdn} is a public suffix: names are registered below it, and nobody can have it delegated"
        return Verdict(fqdn, "invalid", reason, "fqdn-public-suffix")
    return Verdict(fqdn, "free")


def pool_of(fqdn: str, rules: Rules) -> str | None:
    """The longest pool domain above a name."""
    above = [pool for pool in rules.pools if _below(fqdn, pool)]
    return max(above, key=len, default=None)


def nested(fqdn: str, zones: Iterable[str], rules: Rules) -> Verdict | None:
    """The refusal when the name lies in another Sovereign's zone, or another's lies in it."""
    for zone in zones:
        if zone in rules.pools or zone == fqdn:
            continue
        if _below(fqdn, zone):
            return Verdict(fqdn, "nested", "a name above it is a zone on our servers, of another Sovereign or of ours")
        if _below(zone, fqdn):
            return Verdict(fqdn, "nested", "a zone on our servers, of another Sovereign or of ours, lies below it")
    return None


def _below(name: str, other: str) -> bool:
    return name.endswith(f".{other}")
