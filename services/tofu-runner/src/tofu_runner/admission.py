"""How many OpenTofu processes this replica admits: by the memory that it may use, not by hope."""

import os
from pathlib import Path

_OPENTOFU_BYTES = 300 * 2**20
"""One OpenTofu with its provider at its peak; bench/parallel.py measures it."""
_OURS_BYTES = 256 * 2**20
"""Kept for this process and its buffers."""
_PER_CORE = 2
"""More at once only take each other's turns: a run is busy for seconds, and waits for the cloud longer."""


def memory_limit(root: Path = Path("/")) -> int:
    """Bytes that this process may use: its control group's limit (version 2), else what the machine has available."""
    available = _available(root)
    try:
        limit = (root / "sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return available
    return min(int(limit), available) if limit.isdigit() else available


def _available(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise ValueError("the system does not say how much memory it has (MemAvailable)")


def places_for(memory: int, cores: int) -> int:
    """At least one: a replica that admits none is no use."""
    return max(1, min((memory - _OURS_BYTES) // _OPENTOFU_BYTES, cores * _PER_CORE))


def admitted(wanted: int) -> int:
    """The setting, or what memory and cores allow."""
    return wanted or places_for(memory_limit(), os.cpu_count() or 1)
