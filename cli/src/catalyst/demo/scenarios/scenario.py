"""What a scenario is, and the way to ready that most of them begin with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import yaml

from catalyst.demo.play import OutcomeWrong, Play
from catalyst.stack.stack import POOL_DOMAIN
from catalyst.stack.tools import CHECKOUT
from contracts.event import Fact
from contracts.history import History
from contracts.kit import Kit, kit_of
from contracts.sovereign import SovereignFailed, SovereignReady, SovereignRequested

F = TypeVar("F", bound=Fact)
ENDS: Final[tuple[type[Fact], ...]] = (SovereignReady, SovereignFailed)


@dataclass(frozen=True)
class Scenario:
    """Something to show."""

    name: str
    shows: str
    play: Callable[[Play], Awaitable[None]]
    label: str
    """The name that its Sovereign takes below ``domain``."""
    domain: str = POOL_DOMAIN
    disturbs: bool = False
    """Kills or overloads something: needs a stack of its own."""
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Settings of services that this scenario needs, by service."""


async def reached(play: Play, sovereign: str, fact: type[F], *, after: int = 0, seconds: float = 300) -> F:
    """Wait for a fact of a run; OutcomeWrong with the trouble when the run fails instead."""
    end = await play.until(sovereign, fact, SovereignFailed, after=after, seconds=seconds)
    if isinstance(end.data, SovereignFailed):
        why = end.data.trouble
        raise OutcomeWrong(f"{sovereign}: no {fact.fact}, it failed: {why.code}: {why.message}")
    found: F = end.data
    return found


async def ready(play: Play, sovereign: str, *, seconds: float = 300) -> History:
    """Wait for ready and check the facts on the way."""
    await reached(play, sovereign, SovereignReady, seconds=seconds)
    history = await play.history(sovereign)
    ids = [item.event.id for item in history.recorded]
    play.check(len(ids) == len(set(ids)), f"no fact was said twice ({len(ids)} facts)")
    releases = {item.event.data.release for item in history if item.event.data.fact == "hr.ready"}
    asked = history.data(SovereignRequested)
    kit = await asyncio.to_thread(_kit)
    expected = {component.name for component in kit.selection(asked.shape.components if asked else ())}
    play.check(expected == releases, f"the {len(expected)} components of the selection became ready, and no other")
    return history


def _kit() -> Kit:
    return kit_of(yaml.safe_load((CHECKOUT / "deploy" / "kit" / "catalogue.yaml").read_text()))
