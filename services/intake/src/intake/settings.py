"""What intake is told by its environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from bus import BusSettings


class Settings(BusSettings):
    """Variables begin with INTAKE_; those of the bus with CATALYST_."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", frozen=True, extra="ignore", populate_by_name=True)

    pool_domains: tuple[str, ...] = ("omani.works", "openova.io")
    """Domains of ours that Sovereigns take a subdomain of (JSON list)."""
    door_owner: str = "operators"
    """The organisation of whoever may publish to the bare subject: a captured message cannot tell who sent it."""
    catalogue_file: Path | None = None
    """The kit's catalogue (deploy/kit/catalogue.yaml); without it components are not checked."""
    enrol_deadline_s: float = 30 * 60
    """Seconds from tofu.applied until a kubeconfig must have been handed in (runbook: about 5 minutes are usual)."""
    stalled_window_s: float = 5 * 60
    """Seconds without any fact of a run after which a reminder is said (the runbook's rule for a silent apply)."""
    approval_reminder_h: float = 24
    """Hours between two reminders of a plan that waits for its approval."""
    draft_days: float = 30
    """Days after its last change until a draft is forgotten."""
    empty_life_days: float = 7
    """Days after which a failed life without any cloud resource is given up, and its name is free again."""
    secrets_days: float = Field(14, gt=0)
    """Days after which what a failed or cancelled run, or an ended life, has left sealed is erased."""
    full_share: float = Field(0.9, gt=0, le=1)
    """Share of the audit trail's size at which new requests wait, so that running ones can end."""
