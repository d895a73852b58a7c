"""Handler tests without a broker: deliver an event to a handler, twice unless told otherwise."""

import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID, uuid4

from bus import Wake
from contracts import About, Event, Fact, History, event_of

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)


def said(fact: Fact, about: About = ABOUT, *, by: str = "test", cause: UUID | None = None) -> Event[Any]:
    """The event of a fact."""
    return event_of(fact, about, source=by, cause=cause or uuid4())


def history_of(*facts: Fact | Event[Any], about: About = ABOUT) -> History:
    """A history in which these were said in this order."""
    events = [fact if isinstance(fact, Event) else said(fact, about) for fact in facts]
    return History.of(about.sovereign, zip(itertools.count(1), events, strict=False))


async def deliver(
    handler: Callable[..., Awaitable[Iterable[Fact | Wake]]],
    event: Any,
    history: History,
    *,
    times: int = 2,
    **ports: Any,
) -> list[Fact | Wake]:
    """What follows; the same for every delivery, or the handler is not idempotent."""
    results = [list(await handler(event, history, **ports)) for _ in range(times)]
    assert all(result == results[0] for result in results), results
    return results[0]
