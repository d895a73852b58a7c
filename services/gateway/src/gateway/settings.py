"""What the gateway is told by its environment. The only reader of it in this package."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from bus import BusSettings
from contracts.account import AccountRole

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


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
    oidc_issuer: str = ""
    """OpenID Connect provider by which people log in, such as https://id.example.org; empty: local accounts only."""
    oidc_label: str = "your organisation's account"
    """What the button says after "Log in with"."""
    oidc_client_id: str = ""
    """Who this installation is to the provider; its redirect URI is <public_url>/login/provider/back."""
    oidc_client_secret_file: Path | None = None
    """File (0600) with the client's secret; without one the client is public, and PKCE alone binds the code to it."""
    oidc_scopes: str = "openid profile"
    """What is asked for; the claims below must be among it."""
    oidc_name_claim: str = "preferred_username"
    """Claim with the name that the audit trail shows; an e-mail address or anything longer becomes a pseudonym."""
    oidc_owner_claim: str = "organisation"
    """Claim with the organisation whose Sovereigns this person sees."""
    oidc_roles_claim: str = "roles"
    """Claim with the roles: one text, or a list."""
    oidc_roles: dict[str, AccountRole] = Field(default_factory=dict)
    """The provider's names of our roles, such as {"sovereign-operators": "operator"}; empty: its names are ours."""
    oidc_session_hours: float = Field(default=1.0, gt=0, le=24)
    """A session by the provider ends this long after the login: until then it may what the provider said then."""
    oidc_ca: Path | None = None
    """Trust root of the provider's certificate, when it is a private one."""
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

    @model_validator(mode="after")
    def _provider_is_whole(self) -> Self:
        if not self.oidc_issuer:
            return self
        where = urlsplit(self.oidc_issuer)
        if where.scheme != "https" and where.hostname not in _LOOPBACK:
            raise ValueError("oidc_issuer must be https")
        if not self.oidc_client_id:
            raise ValueError("oidc_issuer needs oidc_client_id")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("oidc_scopes must hold openid")
        return self
