"""The last look before publishing: nothing that looks like a secret leaves this process in clear.

What is in ``PROV`` cannot be removed, so this errs on the side of refusing. It is a net under the real protection
(sealed types, allow-lists), not in its place.
"""

import re
from typing import Final

_PATTERNS: Final = (
    ("a private key", re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-*[^\"-]*(?:-+END[A-Z ]*-*)?")),
    # 64 letters and digits in mixed case stand alone: a Hetzner Cloud token. A SHA-256 in hexadecimal is lower case.
    (
        "a cloud token",
        re.compile(
            rb"(?<![A-Za-z0-9+/=_-])(?=[A-Za-z0-9]{0,63}[A-Z])(?=[A-Za-z0-9]{0,63}[a-z])(?=[A-Za-z0-9]{0,63}[0-9])"
            rb"[A-Za-z0-9]{64}(?![A-Za-z0-9+/=_-])"
        ),
    ),
    ("an NKey seed", re.compile(rb"(?<![A-Z0-9])S[UANCO][A-Z2-7]{56}(?![A-Z2-7])")),
    ("a client key of a kubeconfig", re.compile(rb"client-key-data\\?\"?\s*:")),
    ("a bearer token", re.compile(rb"[Bb]earer\s+[A-Za-z0-9._~+/-]{24,}")),
    ("a JSON web token", re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.")),
)


def secret_in(payload: bytes) -> str | None:
    """What kind of secret the payload seems to hold, or None."""
    for kind, pattern in _PATTERNS:
        if pattern.search(payload):
            return kind
    return None


def masked(text: str) -> str:
    """The text without what seems to be secret: for reasons, headers and log lines."""
    raw = text.encode()
    for kind, pattern in _PATTERNS:
        raw = pattern.sub(f"[{kind}, withheld]".encode(), raw)
    return raw.decode()
