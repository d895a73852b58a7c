"""What the command is told: environment, or ``~/.config/catalyst/settings.json``. Nothing else here reads either."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, JsonConfigSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

CONFIG_FILE = Path("~/.config/catalyst/settings.json").expanduser()


class CliSettings(BaseSettings):
    """Every variable begins with CATALYST_; the settings file has the same names without it, in lower case."""

    model_config = SettingsConfigDict(env_prefix="CATALYST_", frozen=True, extra="ignore", json_file=CONFIG_FILE)

    url: str = "http://127.0.0.1:8080"
    """The gateway."""
    api_token: SecretStr | None = None
    """Who you are (an operator makes one: ``catalyst user token``)."""
    api_token_file: Path | None = None
    """The same in a file (0600), so that it stands in no environment listing."""
    state: Path = Path("catalyst-state")
    """Folder of the installation that ``catalyst up`` starts and ``catalyst scale`` speaks to."""
    accounts_dir: Path = Path("accounts")
    """Folder of the gateway's local accounts, for ``catalyst user``."""
    keys_dir: Path = Path("keys")
    """Folder of the installation's keys, for ``catalyst keys`` and the commands that work straight on NATS."""
    nats_url: str = "nats://127.0.0.1:4222"
    """The broker, for the commands that work straight on NATS."""
    nats_ca: Path | None = None
    """Trust root of the broker's certificate; with it the connection is TLS."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Seconds for one call to the gateway."""

    def token(self) -> str | None:
        """The API token, wherever it is."""
        if self.api_token_file is not None:
            return self.api_token_file.expanduser().read_text().strip()
        return self.api_token.get_secret_value() if self.api_token else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file."""
        return (init_settings, env_settings, JsonConfigSettingsSource(settings_cls))
