"""What a scenario is, and the way to ready that most of them begin with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from catalyst.demo.play import Play
from catalyst.stack.stack import POOL_DOMAIN
from contracts.event import Fact
from contracts.history import History
from contracts.sovereign import SovereignFailed, SovereignReady

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
    alike: str = ""
    """Another one that goes the same way, with another vendor: tests play that one."""
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Settings of services that this scenario needs, by service."""


async def ready(play: Play, sovereign: str, *, seconds: float = 300) -> History:
    """Wait for ready and check the facts on the way."""
    end = await play.until(sovereign, *ENDS, seconds=seconds)
    if isinstance(end.data, SovereignFailed):
        play.check(False, f"ready, but it failed: {end.data.trouble.code}: {end.data.trouble.message}")  # noqa: FBT003
    history = await play.history(sovereign)
    ids = [item.event.id for item in history.recorded]
    play.check(len(ids) == len(set(ids)), f"no fact was said twice ({len(ids)} facts)")
    releases = {item.event.data.release for item in history if item.event.data.fact == "hr.ready"}
    expected = {f"bp-{name}" for name in KIT}
    play.check(expected <= releases, f"all {len(expected)} components of the kit became ready")
    return history


KIT: Final = (
    "cilium",
    "cert-manager",
    "flux",
    "crossplane",
    "sealed-secrets",
    "spire",
    "nats-jetstream",
    "openbao",
    "keycloak",
    "gitea",
    "powerdns",
    "catalyst-platform",
)
