"""One API call as a handler sees it, and the answer it gives. Handlers are plain functions: everything is in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multidict import MultiMapping

from sandbox.hetzner.actions import Actions, rendered
from sandbox.hetzner.body import Body, parsed
from sandbox.hetzner.catalogue import Catalogue
from sandbox.hetzner.errors import ApiError
from sandbox.hetzner.state import Cloud, Project, Record


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body; `next_page` and its neighbours make the Link header."""

    status: int
    body: Any = None
    pages: tuple[int | None, int | None, int, int] | None = None


@dataclass(slots=True)
class Call:
    """One authenticated call within its project."""

    project: Project
    actions: Actions
    ids: list[int]
    query: MultiMapping[str]
    raw: Any = None

    @property
    def cloud(self) -> Cloud:
        """The cloud that the project lives in."""
        return self.project.cloud

    @property
    def catalogue(self) -> Catalogue:
        """What can be ordered."""
        return self.project.cloud.catalogue

    def body(self) -> Body:
        """The decoded request body; an absent one is an empty object."""
        return parsed({} if self.raw is None else self.raw)

    def record(self, kind: str) -> Record:
        """The record whose id stands in the path."""
        return self.project.get(kind, self.ids[0])

    def unlocked_server(self) -> Record:
        """The server whose id stands in the path, unless an action holds it."""
        server = self.record("servers")
        if server["locked"]:
            raise ApiError("locked", "server is locked")
        return server

    def acting(self, command: str, *resources: tuple[str, Record], **how: Any) -> Answer:
        """Begin one action and answer with it."""
        return Answer(201, {"action": rendered(self.actions.begin(self.project, command, *resources, **how))})


Handler = Callable[[Call], Answer]
Routes = dict[tuple[str, str], Handler]
"""Handlers by method and path template, numbers in the path being `{id}`."""
