"""Requests and replies of the questions that a wizard asks: drafts, what can be asked for, and what it costs."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints

from contracts.errors import FieldError
from contracts.event import Model
from contracts.identity import Actor
from contracts.kit import Need, Tier
from contracts.request import Topology
from contracts.tofu import Cost

DraftId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{7,63}$")]
"""Chosen by whoever begins the draft; it stands in the page's address, so that a colleague can go on."""


class OfDraft(Model):
    """A question about one draft of the asker's organisation."""

    draft: DraftId


class Draft(OfDraft):
    """A request that is being written, as far as it is. Secrets never rest in a draft."""

    body: dict[str, JsonValue] = Field(description="A request with the fields that are known by now.")
    step: int = Field(ge=1, le=7, description="Of the seven steps, the last one that was filled in.")
    revision: int | None = Field(
        default=None, ge=0, description="Which one was changed; refused when it is not the last."
    )


class DraftError(FieldError):
    """A wrong or missing field, and in which step it is captured."""

    step: int = Field(ge=1, le=7)


class DraftRow(OfDraft):
    """A draft in the list."""

    fqdn: str = ""
    organisation: str = ""
    step: int
    changed_by: Actor
    changed_at: AwareDatetime


class DraftReply(DraftRow):
    """A draft as it is kept, and every field error of the steps so far."""

    body: dict[str, JsonValue]
    revision: int
    errors: tuple[DraftError, ...] = ()


class DraftsReply(Model):
    """The drafts of the asker's organisation, newest first."""

    drafts: tuple[DraftRow, ...]


class ServerTypeRow(Model):
    """A server type as the wizard offers it. Prices are net, for the European locations."""

    name: str
    cores: int
    memory_gib: float
    disk_gib: int
    architecture: Literal["x86", "arm"]
    monthly: str = ""
    hourly: str = ""
    regions: tuple[str, ...] = ()


class RegionRow(Model):
    """A location as the wizard offers it."""

    name: str
    city: str
    network_zone: str


class ComponentRow(Model):
    """A component of the kit."""

    name: str
    family: str
    tier: Tier
    depends_on: tuple[str, ...] = ()
    description: str = ""
    homepage: str = ""
    licence: str = ""
    version: str = ""
    asks: Need = Need()
    per_node: Need = Field(default=Need(), description="As much again on each server.")
    after_hand_off: str = Field(default="", description="Why it cannot be chosen in a request, only added later.")


class CertificateCount(Model):
    """Certificates that were issued for Sovereigns under one of our domains within a week."""

    domain: str
    issued: int
    limit: int = Field(default=50, description="Let's Encrypt's, per registered domain and week.")


class CatalogueReply(Model):
    """What can be asked for."""

    regions: tuple[RegionRow, ...]
    server_types: tuple[ServerTypeRow, ...]
    components: tuple[ComponentRow, ...]
    pool_domains: tuple[str, ...]
    certificates: tuple[CertificateCount, ...] = Field(default=(), description="By pool domain.")
    as_of: str = Field(default="", description="Month of the pinned catalogue.")
    sample_prices: bool = Field(default=False, description="True where the prices are sample data.")


class CostOf(Model):
    """A topology to price."""

    topology: Topology
    hours: int | None = Field(default=None, ge=1, le=100_000, description="Also what it costs for so many hours.")


class CostReply(Model):
    """The bill by the pinned catalogue; the account's own prices are ``ask.tofu-runner.prices``."""

    cost: Cost
    hourly: str
    hours: int | None = None
    total: str = Field(
        default="", description="For the hours that were asked for; a month is never exceeded per month."
    )
    as_of: str
