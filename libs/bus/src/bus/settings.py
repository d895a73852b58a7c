"""What every service on the bus is told by its environment. The only reader of it in this package."""

import socket
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _alias(name: str) -> AliasChoices:
    """The variable's one name, whatever prefix a service's own settings have."""
    return AliasChoices(name)


class BusSettings(BaseSettings):
    """Base of each service's settings; every variable of these begins with CATALYST_."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    nats_url: str = Field("nats://127.0.0.1:4222", validation_alias=_alias("CATALYST_NATS_URL"))
    """Servers, separated by commas."""
    nkey_file: Path | None = Field(None, validation_alias=_alias("CATALYST_NKEY_FILE"))
    """File (0600) with this user's NKey seed."""
    nats_ca: Path | None = Field(None, validation_alias=_alias("CATALYST_NATS_CA"))
    """Trust root of the servers' certificates; with it the connection is TLS."""
    seal_key_file: Path | None = Field(None, validation_alias=_alias("CATALYST_SEAL_KEY_FILE"))
    """File (0600) with this service's HPKE keys, shared by its replicas."""
    public_keys_dir: Path | None = Field(None, validation_alias=_alias("CATALYST_PUBLIC_KEYS_DIR"))
    """Folder with every reader's public keys (``<service>.keys.json``)."""
    replica: str = Field(default_factory=socket.gethostname, validation_alias=_alias("CATALYST_REPLICA"))
    """Name of this replica: unique among the replicas of a service."""
    health_host: str = Field("127.0.0.1", validation_alias=_alias("CATALYST_HEALTH_HOST"))
    """Where /healthz, /readyz and /metrics listen."""
    health_port: int = Field(0, validation_alias=_alias("CATALYST_HEALTH_PORT"))
    """0 takes a free port; it is in the first log line."""
    grace_s: float = Field(25.0, validation_alias=_alias("CATALYST_GRACE_S"))
    """Seconds that SIGTERM leaves to work in hand before it is handed back."""
    lease_ttl_s: int = Field(20, validation_alias=_alias("CATALYST_LEASE_TTL_S"))
    """A lease ends this long after its last renewal, in whole seconds (the server knows no smaller unit)."""
    lease_sure_s: float = Field(12.0, validation_alias=_alias("CATALYST_LEASE_SURE_S"))
    """A holder trusts its lease this long after its last renewal; below the time above by the clock's doubt."""
    lease_renew_s: float = Field(5.0, validation_alias=_alias("CATALYST_LEASE_RENEW_S"))
    """Renewals are this far apart."""
    brake_errors: int = Field(5, ge=1, validation_alias=_alias("CATALYST_BRAKE_ERRORS"))
    """Handler errors on so many different messages in a row stop the pulling for a while."""
    brake_pause_s: float = Field(30.0, gt=0, validation_alias=_alias("CATALYST_BRAKE_PAUSE_S"))
    """Seconds of that while."""
    log_level: str = Field("INFO", validation_alias=_alias("CATALYST_LOG_LEVEL"))
    """DEBUG, INFO, WARNING or ERROR."""
    uvloop: bool = Field(True, validation_alias=_alias("CATALYST_UVLOOP"))  # noqa: FBT003 - a setting's default
    """Use uvloop; asyncio's own loop is slower under load and easier to debug."""
