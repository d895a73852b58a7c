"""Every setting of the sandbox; nothing else reads the environment."""

from ipaddress import IPv4Network
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment with the prefix SANDBOX_."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", frozen=True)

    host: str = "127.0.0.1"
    """Where the APIs listen; they have no protection of their own, so this stays a loopback address."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port of the APIs; 0 takes a free one, which `ready.json` then names."""
    dir: Path = Path("sandbox-state")
    """Where state, ledger and `ready.json` are kept; the same directory again is the same cloud again."""
    tokens_file: Path | None = None
    """A JSON list of `{"token", "project", "access"}`; none means that tokens come through the control API only."""
    ipv4_range: IPv4Network = IPv4Network("127.64.0.0/10")
    """The loopback range that servers and load balancers get their public addresses from."""
    rate_limit: int = Field(default=3600, ge=1)
    """Calls that a project may make in a burst, as the real API's hourly limit."""
    rate_per_second: float = Field(default=1.0, ge=0)
    """Calls per second that a project gets back."""
    action_s: float = Field(default=0.2, ge=0)
    """How long an action takes when `durations` does not name its command."""
    durations: dict[str, float] = {}
    """Seconds per action command, such as `{"create_server": 2.5}`."""
    kit_dir: Path | None = None
    """`deploy/kit` of a checkout, which the clusters install; none means that nothing runs on servers."""
    boot_clock_factor: float = Field(default=20.0, gt=0)
    """`sleep` and `timeout` in a server's boot scripts are this many times shorter than written."""
    calls_from_own_address: bool = True
    """Servers call out from their own address; false where their node door is on another host, which no loopback
    address reaches.
    """
    parallel_boots: int = Field(default=8, ge=1)
    """Boots that run at once; the others wait their turn."""
    age: Path | None = None
    """The program age, with which servers seal the first password; without it they say that they could not."""
    cluster_pace: float = Field(default=1.0, gt=0)
    """1 installs the kit in about twelve seconds; half of it, in half the time."""
