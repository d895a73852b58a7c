"""What a message is: a fact in a CloudEvents 1.0 envelope.

A ``Fact`` is what happened, in the past tense, and nothing else. An ``Event`` is a fact with its envelope: who said
it, when, about which Sovereign, in which life and run, for whose account, and because of which earlier event. Ids
are derived from the cause, so a repeated delivery says the same event again and the stream drops it.

Readers ignore unknown fields; writers validate. Within a version only optional fields are added.
Source: CloudEvents 1.0.2, structured JSON mode (content type ``application/cloudevents+json``).
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contracts.identity import Actor, Owner, Subject

NAMESPACE = UUID("6f0c3a52-5d0e-5c39-9c5e-0c3a7e9b1d11")
"""Namespace of every derived id of this project (RFC 9562, version 5)."""

CONTENT_TYPE = "application/cloudevents+json"


class Model(BaseModel):
    """Immutable and tolerant: unknown fields are ignored on reading."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", ser_json_timedelta="float", protected_namespaces=(), defer_build=True
    )


class Fact(Model):
    """What happened. Subclasses name themselves ``<domain>.<past participle>``."""

    fact: ClassVar[str] = ""
    schema_version: ClassVar[int] = 1

    @property
    def key(self) -> str:
        """Tells two facts of one type and one cause apart; part of the derived id."""
        return ""

    @classmethod
    def type_name(cls) -> str:
        """The CloudEvents type, such as ``tofu.applied.v1``."""
        return f"{cls.fact}.v{cls.schema_version}"

    @classmethod
    def subject_for(cls, sovereign: str) -> str:
        """The NATS subject on which this fact is said of one Sovereign."""
        return f"{cls.fact}.{sovereign}"


F = TypeVar("F", bound=Fact, covariant=True)  # noqa: PLC0105 - short on purpose: it stands in every handler


class About(Model):
    """What an event is about: copied from the cause to whatever follows from it."""

    sovereign: Subject
    owner: Owner
    life: int = Field(ge=0)
    run: int = Field(ge=0)
    actor: Actor | None = None


class Event(Model, Generic[F]):
    """A fact with its envelope. ``Event[TofuApplied].model_validate_json`` reads one."""

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    subject: Subject
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    owner: Owner
    actor: Actor | None = None
    life: int = Field(ge=0)
    run: int = Field(ge=0)
    causationid: UUID | None = None
    data: F

    @model_validator(mode="after")
    def _type_is_the_facts(self) -> "Event[F]":
        expected = self.data.type_name()
        if self.type != expected:
            raise ValueError(f"type is {self.type!r}, this reader knows {expected!r}")
        return self

    @property
    def about(self) -> About:
        """Whom and what this event concerns."""
        return About(sovereign=self.subject, owner=self.owner, life=self.life, run=self.run, actor=self.actor)

    @property
    def nats_subject(self) -> str:
        """Where this event is said."""
        return self.data.subject_for(self.subject)


@cache
def envelope_of(fact: type[Fact]) -> type[Event[Any]]:
    """The envelope class of one kind of fact; made once, since pydantic builds a validator for each."""
    return cast("type[Event[Any]]", Event.__class_getitem__(fact))


def derived_id(cause: UUID, fact: Fact, about: About) -> UUID:
    """The id of the fact that follows from a cause: the same for every repeat of the same work."""
    name = f"{cause}|{fact.type_name()}|{about.sovereign}|{about.life}|{about.run}|{fact.key}"
    return uuid5(NAMESPACE, name)


def event_of(fact: Fact, about: About, *, source: str, cause: UUID, at: datetime | None = None) -> Event[Any]:
    """Put a fact into its envelope. ``source`` is the service's name, ``cause`` the id of what led to it."""
    envelope: type[Event[Any]] = envelope_of(type(fact))
    return envelope(
        id=derived_id(cause, fact, about),
        source=f"/{source}",
        type=fact.type_name(),
        subject=about.sovereign,
        time=at or datetime.now(UTC),
        owner=about.owner,
        actor=about.actor,
        life=about.life,
        run=about.run,
        causationid=cause,
        data=fact,
    )
