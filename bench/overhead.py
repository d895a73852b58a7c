"""What a run takes beside what it waits for: the whole stack, from the request to ready, by the events' own times.

Waited for: OpenTofu and the cloud (``tofu.started`` to ``tofu.applied``), boot (to ``node.enrolled``), Flux and its
stability window (to ``flux.converged``), delegation (``dns.published`` to ``dns.delegated``). Everything else is ours.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

if not __package__:  # run as a file: this folder's names would hide the packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench._report import Figure, main, tell
from catalyst.demo.play import playing
from catalyst.demo.scenarios.scenario import ready
from catalyst.stack.stack import Options, Stack
from contracts.dns import DnsDelegated, DnsPublished
from contracts.event import Fact
from contracts.flux import FluxConverged
from contracts.history import History
from contracts.node import NodeEnrolled
from contracts.sovereign import SovereignReady, SovereignRequested
from contracts.tofu import TofuApplied, TofuStarted

_WAITS: tuple[tuple[str, type[Fact], type[Fact]], ...] = (
    ("OpenTofu and the cloud", TofuStarted, TofuApplied),
    ("boot", TofuApplied, NodeEnrolled),
    ("Flux and the stability window", NodeEnrolled, FluxConverged),
    ("delegation", DnsPublished, DnsDelegated),
)


def measure() -> Iterator[Figure]:
    """One Sovereign on the whole stack."""
    history = asyncio.run(_played())
    begun, ended = _at(history, SovereignRequested), _at(history, SovereignReady)
    spans = [(_at(history, first), _at(history, last)) for _, first, last in _WAITS]
    for (name, _, _), (first, last) in zip(_WAITS, spans, strict=True):
        yield Figure(name=f"  {name}", value=max(0.0, (last - first).total_seconds()), unit="s")
    whole = (ended - begun).total_seconds()
    yield Figure(name="request to ready", value=whole, unit="s")
    yield Figure(name="of it ours", value=whole - covered(spans), unit="s", goal=10.0)


def covered(spans: list[tuple[datetime, datetime]]) -> float:
    """Seconds that lie in at least one of the spans."""
    seconds, reached = 0.0, None
    for first, last in sorted(spans):
        start = first if reached is None or first > reached else reached
        seconds += max(0.0, (last - start).total_seconds())
        reached = last if reached is None else max(reached, last)
    return seconds


def _at(history: History, fact: type[Fact]) -> datetime:
    found = history.last(fact)
    assert found is not None, f"{fact.fact} was not said"
    return found.event.time


async def _played() -> History:
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        async with Stack(Options(Path(folder)), tell=tell) as stack, playing(stack, tell) as play:
            sovereign = await play.request(play.name("overhead"))
            return await ready(play, sovereign)


if __name__ == "__main__":
    main("Time of a run that is ours", measure)
