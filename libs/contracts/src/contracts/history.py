"""What is known of one Sovereign: its recorded events, read as state.

A ``History`` is either the whole story or its fold (the last event per subject); both answer the same questions.
Everything is within the current life unless asked otherwise: nothing of an earlier life of the same name counts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from contracts.event import Event, Fact
from contracts.sovereign import SovereignDecommissioned, SovereignRequested

F = TypeVar("F", bound=Fact)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event and its sequence in the stream: the order that counts."""

    sequence: int
    event: Event[Any]


@dataclass(frozen=True)
class History:
    """The recorded events of one Sovereign, oldest first."""

    sovereign: str
    recorded: tuple[Recorded, ...] = ()
    upto: int = 0
    """The stream sequence that this reading reaches at least."""
    _life: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Sort and find the current life."""
        ordered = tuple(sorted(self.recorded, key=lambda item: item.sequence))
        object.__setattr__(self, "recorded", ordered)
        object.__setattr__(self, "_life", max((item.event.life for item in ordered), default=0))

    @classmethod
    def of(cls, sovereign: str, events: Iterable[tuple[int, Event[Any]]]) -> "History":
        """A history from (sequence, event) pairs."""
        pairs = tuple(Recorded(sequence, event) for sequence, event in events)
        return cls(sovereign, pairs, max((item.sequence for item in pairs), default=0))

    def with_appended(self, sequence: int, event: Event[Any]) -> "History":
        """This history and one event more."""
        return History(self.sovereign, (*self.recorded, Recorded(sequence, event)), max(self.upto, sequence))

    @property
    def life(self) -> int:
        """Number of the current or last life; 0 when there never was one."""
        return self._life

    @property
    def run(self) -> int:
        """Number of the last run, counted through all lives; 0 when there never was one."""
        return max((item.event.run for item in self.recorded), default=0)

    @property
    def owner(self) -> str | None:
        """Who owns the current life."""
        asked = self.last(SovereignRequested)
        return asked.event.owner if asked else None

    @property
    def alive(self) -> bool:
        """Whether a life has begun and not ended."""
        return self.life > 0 and self.last(SovereignDecommissioned) is None

    def __iter__(self) -> Iterator[Recorded]:
        """The events of the current life, oldest first."""
        return (item for item in self.recorded if item.event.life == self._life)

    def last(self, fact: type[F], *, run: int | None = None) -> Recorded | None:
        """The latest event of this type in the current life (of the given run), or None."""
        found = None
        for item in self:
            if isinstance(item.event.data, fact) and (run is None or item.event.run == run):
                found = item
        return found

    def data(self, fact: type[F], *, run: int | None = None) -> F | None:
        """The fact itself of ``last``."""
        found = self.last(fact, run=run)
        return found.event.data if found else None

    def later(self, fact: type[F], other: type[Fact], *, run: int | None = None) -> Recorded | None:
        """The latest of ``fact`` if it holds against its opposite: said after the latest of ``other``."""
        mine, theirs = self.last(fact, run=run), self.last(other, run=run)
        if mine is None or (theirs is not None and theirs.sequence > mine.sequence):
            return None
        return mine

    def sequence_of(self, domain: str) -> int:
        """The last sequence on ``<domain>.*.<id>`` over all lives; 0 when there is none. What a guard expects."""
        prefix = f"{domain}."
        return max((i.sequence for i in self.recorded if i.event.data.fact.startswith(prefix)), default=0)
