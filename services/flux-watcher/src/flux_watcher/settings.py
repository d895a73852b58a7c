"""What flux-watcher is told by its environment: variables ``FLUX_WATCHER_*``, and the bus's own."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from bus import BusSettings
from flux_watcher.course import Windows
from flux_watcher.probe import Look
from flux_watcher.reflector import Pace
from flux_watcher.watch import Rhythm


class Settings(BusSettings):
    """All settings; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="FLUX_WATCHER_", frozen=True, extra="ignore", populate_by_name=True)

    kit_catalogue: Path = Path("deploy/kit/catalogue.yaml")
    """The kit's catalogue: the explicit expected set."""
    kit_root: str = "catalyst-kit"
    """Name of the kit's GitRepository and root Kustomization in flux-system."""
    api_port: int = 6443
    """Port of the Kubernetes API at the load balancer."""
    https_port: int = 443
    """Port at which the Sovereign's hosts are probed; 8443 in the sandbox, which serves 443 there."""
    resolvers: str = ""
    """Resolvers for probes, ``address[:port]`` separated by commas; the system's own when empty."""
    trust_roots: Path | None = None
    """PEM file of the roots that a Sovereign's certificates are checked against; the system's own when unset."""
    stable_s: float = Field(30, ge=0)
    """So long must everything hold before the kit has converged."""
    diverged_s: float = Field(5, ge=0)
    """So long may a converged set miss something before it is said to have diverged."""
    first_seen_s: float = Field(900, gt=0)
    """A HelmRelease has to appear this soon after the enrolment, else the watch says why it may not."""
    still_s: float = Field(600, gt=0)
    """Nothing moved for so long: the watch says what blocks."""
    unreachable_s: float = Field(60, gt=0)
    """The cluster's API was silent for so long: the watch says so."""
    busy_s: float = Field(5, gt=0)
    """Workloads and nodes are listed this often while something is not ready."""
    calm_s: float = Field(60, gt=0)
    """The same, once everything is ready."""
    probe_s: float = Field(5, gt=0)
    """Hosts are probed this often until they hold."""
    probe_calm_s: float = Field(60, gt=0)
    """The same, afterwards."""
    watch_s: int = Field(270, gt=0)
    """A watch of the Kubernetes API is asked for this long."""
    silence_s: float = Field(120, gt=0)
    """A watch that sends nothing for so long is dead; above the API server's bookmark interval."""
    lists: int = Field(32, gt=0)
    """So many lists run at once over all Sovereigns of this process."""
    look_s: float = Field(1, gt=0)
    """The replicas of this service are counted this often."""

    @field_validator("resolvers")
    @classmethod
    def _resolvers_are_addresses(cls, value: str) -> str:
        parse_resolvers(value)
        return value

    @property
    def windows(self) -> Windows:
        """How long things may take."""
        return Windows(
            stable=timedelta(seconds=self.stable_s),
            diverged=timedelta(seconds=self.diverged_s),
            first_seen=timedelta(seconds=self.first_seen_s),
            still=timedelta(seconds=self.still_s),
            unreachable=timedelta(seconds=self.unreachable_s),
        )

    @property
    def rhythm(self) -> Rhythm:
        """How often things are looked at."""
        return Rhythm(
            busy_s=self.busy_s,
            calm_s=self.calm_s,
            probe_s=self.probe_s,
            probe_calm_s=self.probe_calm_s,
            pace=Pace(watch_s=self.watch_s),
        )

    @property
    def look(self) -> Look:
        """How probes look."""
        return Look(parse_resolvers(self.resolvers), self.trust_roots, self.https_port)


def parse_resolvers(value: str) -> tuple[tuple[str, int], ...]:
    """``address[:port]`` separated by commas; IPv6 addresses in brackets."""
    found = []
    for item in (part.strip() for part in value.split(",")):
        if not item:
            continue
        address, port = item, "53"
        if item.startswith("["):
            address, _, rest = item[1:].partition("]")
            port = rest.removeprefix(":") or port
        elif item.count(":") == 1:
            address, port = item.split(":")
        if not address or not port.isdigit() or not 0 < int(port) < 65536:  # noqa: PLR2004 - ports
            raise ValueError(f"{item!r} is no address[:port]")
        found.append((address, int(port)))
    return tuple(found)
