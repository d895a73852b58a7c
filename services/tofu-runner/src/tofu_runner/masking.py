"""Takes secrets out of text that comes from outside, before it is kept or told.

Two nets: the very secrets of this run, wherever they appear, and whatever has the shape of one. What is cut is
named, so that a reader sees that something was there.
"""

import re
from collections.abc import Collection

MIN_SECRET_LENGTH = 8
"""Shorter strings would be cut out of ordinary words."""

_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b[Bb]earer\s+[A-Za-z0-9._~+/-]{16,}=*"
    r"|\b[A-Za-z0-9]{64}\b",
    re.DOTALL,
)


def masked(text: str, secrets: Collection[str] = (), limit: int = 1500) -> str:
    """The text without secrets, at most ``limit`` characters long."""
    for secret in sorted((s for s in secrets if len(s) >= MIN_SECRET_LENGTH), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    text = _SHAPES.sub("[secret]", text)
    return text if len(text) <= limit else f"{text[:limit]} [{len(text) - limit} more characters]"
