"""What the gateway is told by its environment. The only reader of it in this package."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from bus import BusSettings


class Settings(BusSettings):
    """Every variable of these begins with GATEWAY_; the bus's own begin with CATALYST_."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="ignore", populate_by_name=True)

    host: str = "127.0.0.1"
    """Where the HTTP edge listens. TLS ends in front of it; in clear it belongs on loopback."""
    port: int = Field(default=8080, ge=0, le=65535)
    """0 takes a free one; the address is in the first log line."""
    public_url: str = ""
    """How browsers and nodes reach it, such as https://console.openova.io; empty: http://host:port."""
    accounts_dir: Path | None = None
    """Folder of the local accounts (``catalyst user add`` writes it); without one nobody can log in."""
    session_key_file: Path | None = None
    """File (0600) with at least 32 random bytes that sign sessions, shared by replicas; without one, sessions end
    with the process."""
    session_hours: float = Field(default=12.0, gt=0, le=24 * 14)
    """A session ends this long after the login."""
    sandbox: bool = False
    """True where cloud, cluster and registrars are the sandbox: every page says so."""
    heartbeat_s: float = Field(default=10.0, gt=0, le=60)
    """Seconds between heartbeats to each viewer."""
    cache_mib: int = Field(default=64, ge=1, le=4096)
    """Histories kept in memory for those who join later, in MiB; one that is being watched is always kept."""
    slow_s: float = Field(default=15.0, gt=0)
    """A viewer that takes nothing for this long is closed; it resumes where it was."""
    trusted_proxy: bool = False
    """True behind a reverse proxy of ours: the caller's address is the last of X-Forwarded-For."""
