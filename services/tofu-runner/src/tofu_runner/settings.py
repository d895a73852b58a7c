"""What tofu-runner is told by its environment: the only reader of it."""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import SettingsConfigDict

from bus import BusSettings

REPOSITORY = Path(__file__).resolve().parents[4]


class Settings(BusSettings):
    """Variables begin with ``TOFU_RUNNER_``, but for those that name the installation's tools."""

    model_config = SettingsConfigDict(env_prefix="TOFU_RUNNER_", frozen=True, extra="ignore", populate_by_name=True)

    tofu: Path = Field(validation_alias=AliasChoices("CATALYST_TOFU"))
    """The OpenTofu program, at the pinned version."""
    tofu_cli_config: Path = Field(validation_alias=AliasChoices("CATALYST_TOFU_CLI_CONFIG"))
    """OpenTofu's own configuration: where the provider lies, so that nothing is downloaded."""
    module: Path = REPOSITORY / "deploy" / "tofu" / "hetzner"
    """The module of a Sovereign, with its version pins and the kit's catalogue two folders above."""
    work_dir: Path | None = None
    """Where a run's private folder is made; the system's place for temporary files when not given."""
    hcloud_endpoint: str = "https://api.hetzner.cloud/v1"
    """The cloud's API; the sandbox's address here is all that makes a run simulated."""
    project_limits: dict[str, int] = Field(default_factory=dict)
    """What the customers' projects may hold, such as ``{"servers": 25}``, where it is known: the API does not tell."""
    sample_prices: bool = False
    """Say that prices are sample data: true with the sandbox."""
    node_door_url: str
    """Base address of the node door as nodes reach it, without a trailing slash."""
    node_door_ca_file: Path | None = None
    """PEM certificates that nodes check the node door against; the system's own when not given."""
    kit_url: str
    """Git repository of the kit, as nodes reach it."""
    kit_path: str = "./deploy/kit"
    """Folder of the kit in that repository."""
    kit_revision: str
    """Branch, ``refs/...`` name or commit of the kit."""
    acme_server: str = "https://acme-v02.api.letsencrypt.org/directory"
    """Who issues the Sovereigns' certificates."""
    poll_s: float = Field(default=1.0, gt=0)
    """Seconds between two looks at the running actions of a run, all of them in one call; they become rarer by
    themselves in a long wait. Each look is a call of the project's budget.
    """
    places: int = Field(default=0, ge=0)
    """How many runs work at once; 0 admits as many as memory and cores allow, and says how many."""
    parallelism: int = Field(default=10, ge=1)
    """How many resources one OpenTofu works on at once."""
    cloud_timeout_s: float = Field(default=60.0, gt=0)
    """After this long an unanswered call will have no effect any more; a worker that takes over waits it out."""
    watch_every_s: float = Field(default=2.0, gt=0)
    """How often a working run looks whether it was cancelled."""
    transient_tries: int = Field(default=3, ge=1)
    """How often a passing failure is tried in one run, each time after an inventory."""
    transient_pause_s: float = Field(default=5.0, ge=0)
    """Seconds before the second try; the double before each further one."""
    capacity_wait_s: float = Field(default=300.0, gt=0)
    """Seconds until a run that found no capacity tries again."""
    capacity_waits: int = Field(default=24, ge=0)
    """How often; then the run fails and says so."""
    throttle_patience_s: float = Field(default=20.0, ge=0)
    """Seconds that a call waits for the project's budget before the run lets go of everything."""
    throttle_calls: int = Field(default=60, ge=1)
    """A throttled run goes on when so many calls are left: enough to get somewhere, long before the limit is whole."""
    throttle_waits: int = Field(default=24, ge=0)
    """How often; then the run fails and says so."""
    withdraw_deadline_s: float = Field(default=600.0, gt=0)
    """Seconds after which a decommission destroys although DNS was not withdrawn."""
