"""Somebody else's lines, as they may be passed on: without what looks like a secret, and of a bearable length."""

import re
from typing import Final

from flux_watcher.objects import MESSAGE_LIMIT

_SECRET: Final = re.compile(
    r"(?i)(eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+"
    r"|(?:bearer|basic)\s+\S{8,}"
    r"|(?:password|passwd|token|secret|api_?key)[\"']?\s*[:=]\s*[\"']?[^\s\"',}]+"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@))"
)


def masked(line: str) -> str:
    """One line of a log, an event or a condition."""
    return _SECRET.sub("****", line[: 4 * MESSAGE_LIMIT])[:MESSAGE_LIMIT]
