"""How a Sovereign is called.

A Sovereign's id is its FQDN in lower case with every ``.`` written ``_``: reversible, valid as a NATS subject
token, a KV key part, a URL segment and a cloud label value, and the same for every run. ``SovereignId`` is that
string; ``Fqdn`` is the name it stands for.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

MAX_FQDN_LENGTH = 63
"""A cloud label value holds at most 63 characters, and the id is one (Hetzner Cloud API, labels)."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def _check_fqdn(value: str) -> str:
    name = value.strip().lower().removesuffix(".")
    if name.startswith("*."):
        raise ValueError("a wildcard is no Sovereign's name; give the name itself")
    try:
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"{value!r} has no ASCII form (IDNA): {error}") from None
    if len(name) > MAX_FQDN_LENGTH:
        raise ValueError(f"fqdn-too-long: {len(name)} characters, at most {MAX_FQDN_LENGTH} fit a cloud label")
    labels = name.split(".")
    if len(labels) < 2:  # noqa: PLR2004 - a domain has at least two labels
        raise ValueError("a fully qualified name has at least two labels, such as demo.omani.works")
    if all(label.isdigit() for label in labels):
        raise ValueError("an IP address is no domain name")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(f"label {label!r} may hold letters, digits and inner hyphens, 1 to 63 of them (RFC 1123)")
    return name


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
