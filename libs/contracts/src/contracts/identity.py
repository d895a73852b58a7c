"""How a Sovereign is called.

A Sovereign's id is its FQDN in lower case with every ``.`` written ``_``: reversible, valid as a NATS subject
token, a KV key part, a URL segment and a cloud label value, and the same for every run. ``SovereignId`` is that
string; ``Fqdn`` is the name it stands for.
"""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

MAX_FQDN_LENGTH = 63
"""A cloud label value holds at most 63 characters, and the id is one (Hetzner Cloud API, labels)."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
"""What keyboards elsewhere write for a dot (UTS 46)."""
_KEPT = frozenset("\u00df\u03c2")
"""Letters that IDNA 2008 keeps although folding would change them (RFC 5892, exceptions): sharp s and final sigma."""
_LETTERS = frozenset({"Ll", "Lo", "Lm", "Mn", "Mc", "Nd"})


def _check_fqdn(value: str) -> str:
    name = value.strip().translate(_DOTS).lower().removesuffix(".")
    if "*" in name:
        raise ValueError("fqdn-wildcard: a wildcard is no Sovereign's name; give the name itself")
    labels = [_ascii_label(label) for label in name.split(".")]
    if labels[-1].isdigit() or ":" in name:
        raise ValueError("fqdn-ip: an IP address is no domain name")
    if len(labels) < 2:  # noqa: PLR2004 - a domain has at least two labels
        raise ValueError("fqdn-invalid: a fully qualified name has at least two labels, such as demo.omani.works")
    for label in labels:
        if not _LABEL.fullmatch(label):
            rule = "may hold letters, digits and inner hyphens, 1 to 63 of them (RFC 1123)"
            raise ValueError(f"fqdn-invalid: label {label[:63]!r} {rule}")
    name = ".".join(labels)
    if len(name) > MAX_FQDN_LENGTH:
        raise ValueError(f"fqdn-too-long: {len(name)} characters, at most {MAX_FQDN_LENGTH} fit a cloud label")
    return name


def _ascii_label(label: str) -> str:
    """The A-label of a label by IDNA 2008 (RFC 5891): letters, marks and digits that folding leaves alone."""
    if label.isascii():
        if label[2:4] == "--":
            _check_a_label(label)
        return label
    label = unicodedata.normalize("NFC", label)
    for character in label:
        stable = character in _KEPT or unicodedata.normalize("NFKC", character.casefold()) == character
        if not character.isascii() and not (stable and unicodedata.category(character) in _LETTERS):
            raise ValueError(f"fqdn-invalid: {character!r} may not stand in a domain name (IDNA 2008)")
    if unicodedata.category(label[0]).startswith("M"):
        raise ValueError(f"fqdn-invalid: a label may not begin with the combining mark {label[0]!r} (IDNA 2008)")
    return f"xn--{label.encode('punycode').decode('ascii')}"


def _check_a_label(label: str) -> None:
    """An A-label has to stand for a label that is written so."""
    try:
        plain = label.removeprefix("xn--").encode().decode("punycode")
    except UnicodeError:
        plain = ""
    if not label.startswith("xn--") or plain.isascii() or _ascii_label(plain) != label:
        raise ValueError(f"fqdn-invalid: label {label[:63]!r} is no valid internationalised label (IDNA 2008)")


def _check_id(value: str) -> str:
    if _check_fqdn(value.replace("_", ".")) != value.replace("_", "."):
        raise ValueError(f"{value!r} is no Sovereign id: a lower-case FQDN with '.' written '_'")
    return value


Fqdn = Annotated[str, AfterValidator(_check_fqdn)]
SovereignId = Annotated[str, AfterValidator(_check_id)]
Subject = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$")]
"""What an event is about: a Sovereign's id, or a request's (last token of the NATS subject)."""
Owner = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""An organisation, as the login names it."""
Actor = Annotated[str, StringConstraints(min_length=1, max_length=120)]
"""Who gave a command: a login or token name, never an e-mail address."""
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256, lower-case hexadecimal."""


def sovereign_id(fqdn: str) -> str:
    """The id of the Sovereign with this name; ValueError says what is wrong with the name."""
    return _check_fqdn(fqdn).replace(".", "_")


def fqdn_of(sovereign: str) -> str:
    """The name that an id stands for."""
    return sovereign.replace("_", ".")


def slug_of(sovereign: str) -> str:
    """The prefix of every cloud resource of a Sovereign (cloud names allow hyphens, no underscores)."""
    return sovereign.replace("_", "-")
