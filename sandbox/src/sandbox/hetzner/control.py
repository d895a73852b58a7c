"""The control API under `/_sandbox/`: faults, ledger, inventory, tokens, limits, capacity, rate, durations.

It is for whoever runs the sandbox, on loopback, and has no counterpart in the real cloud. A request that does not pass
is answered 422 with what is wrong; a token's value is never answered.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sandbox.hetzner.api import SERVER
from sandbox.hetzner.faults import NewFault
from sandbox.hetzner.simulation import Simulation
from sandbox.hetzner.state import SINGULAR, Capacity, Project
from sandbox.hetzner.tokens import NewToken

PREFIX: Final = "/_sandbox"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewLimits(_Asked):
    """Quota of a project, per kind."""

    project: str
    limits: dict[str, int]


class NewCapacity(_Asked):
    """How many more servers a location takes; null lifts the bound. `*` means every location or every type."""

    location: str = "*"
    server_type: str = "*"
    remaining: int | None = Field(default=0, ge=0)
    code: str = "resource_unavailable"
    message: str = "error during placement"


class NewRate(_Asked):
    """Rate limit of a project, and how many calls it has left now."""

    project: str
    limit: int | None = Field(default=None, ge=1)
    per_second: float | None = Field(default=None, ge=0)
    remaining: int | None = Field(default=None, ge=0)


class Control:
    """The handlers, over one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def routes(self) -> list[web.RouteDef]:
        """The routes for the application's router."""
        return [
            web.get(f"{PREFIX}/", checked(self._about)),
            web.post(f"{PREFIX}/faults", checked(self._add_faults)),
            web.get(f"{PREFIX}/faults", checked(self._faults)),
            web.delete(f"{PREFIX}/faults", checked(self._clear_faults)),
            web.delete(f"{PREFIX}/faults/{{id:\\d+}}", checked(self._clear_faults)),
            web.get(f"{PREFIX}/ledger", checked(self._ledger)),
            web.get(f"{PREFIX}/inventory", checked(self._inventory)),
            web.post(f"{PREFIX}/tokens", checked(self._add_token)),
            web.get(f"{PREFIX}/tokens", checked(self._tokens)),
            web.delete(f"{PREFIX}/tokens/{{mark}}", checked(self._withdraw_token)),
            web.put(f"{PREFIX}/limits", checked(self._set_limits)),
            web.put(f"{PREFIX}/capacity", checked(self._set_capacity)),
            web.put(f"{PREFIX}/rate", checked(self._set_rate)),
            web.put(f"{PREFIX}/durations", checked(self._set_durations)),
        ]

    async def _about(self, _request: web.Request) -> web.StreamResponse:
        return json_answer({"what": SERVER, "simulated": True, "projects": sorted(self._simulation.cloud.projects)})

    async def _add_faults(self, request: web.Request) -> web.StreamResponse:
        raw = await request.json()
        asked = TypeAdapter(list[NewFault]).validate_python(raw if isinstance(raw, list) else [raw])
        return json_answer({"faults": [self._simulation.faults.add(fault).described() for fault in asked]}, 201)

    async def _faults(self, _request: web.Request) -> web.StreamResponse:
        return json_answer({"faults": [fault.described() for fault in self._simulation.faults.all()]})

    async def _clear_faults(self, request: web.Request) -> web.StreamResponse:
        fault_id = request.match_info.get("id")
        self._simulation.faults.clear(int(fault_id) if fault_id else None)
        return web.Response(status=204)

    async def _ledger(self, request: web.Request) -> web.StreamResponse:
        query, ledger = request.query, self._simulation.ledger
        project = query.get("project")
        body: dict[str, Any] = ledger.totals(project)
        if query.get("totals") != "only":
            after, limit = int(query.get("after", "0")), int(query.get("limit", "10000"))
            body["lines"] = ledger.lines(after=after, project=project, limit=limit)
        return json_answer(body)

    async def _inventory(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("project")
        projects = self._simulation.cloud.projects
        return json_answer({"projects": {n: _inventory_of(p) for n, p in projects.items() if wanted in {None, n}}})

    async def _add_token(self, request: web.Request) -> web.StreamResponse:
        holder = self._simulation.tokens.add(NewToken.model_validate(await request.json()))
        self._simulation.cloud.commit()
        return json_answer({"project": holder.project, "access": holder.access, "token": holder.mark}, 201)

    async def _tokens(self, _request: web.Request) -> web.StreamResponse:
        holders = self._simulation.tokens.all()
        return json_answer({"tokens": [{"project": h.project, "access": h.access, "token": h.mark} for h in holders]})

    async def _withdraw_token(self, request: web.Request) -> web.StreamResponse:
        known = self._simulation.tokens.withdraw(request.match_info["mark"])
        self._simulation.cloud.commit()
        return web.Response(status=204 if known else 404)

    async def _set_limits(self, request: web.Request) -> web.StreamResponse:
        asked = NewLimits.model_validate(await request.json())
        if unknown := set(asked.limits) - set(SINGULAR):
            return json_answer({"error": f"no such kind: {', '.join(sorted(unknown))}"}, 422)
        project = self._simulation.cloud.project(asked.project)
        project.limits.update(asked.limits)
        self._simulation.save("limits", {name: p.limits for name, p in self._simulation.cloud.projects.items()})
        return json_answer({"project": project.name, "limits": project.limits})

    async def _set_capacity(self, request: web.Request) -> web.StreamResponse:
        raw = await request.json()
        asked = TypeAdapter(list[NewCapacity]).validate_python(raw if isinstance(raw, list) else [raw])
        for entry in asked:
            capacity = None
            if entry.remaining is not None:
                capacity = Capacity(remaining=entry.remaining, code=entry.code, message=entry.message)
            self._simulation.set_capacity(entry.location, entry.server_type, capacity)
        return json_answer({"capacity": self._simulation.capacity_described()})

    async def _set_rate(self, request: web.Request) -> web.StreamResponse:
        asked = NewRate.model_validate(await request.json())
        bucket = self._simulation.api.bucket(asked.project)
        bucket.set(limit=asked.limit, per_second=asked.per_second, remaining=asked.remaining)
        return json_answer(
            {
                "project": asked.project,
                "limit": bucket.limit,
                "per_second": bucket.per_second,
                "remaining": bucket.remaining,
            }
        )

    async def _set_durations(self, request: web.Request) -> web.StreamResponse:
        asked = TypeAdapter(dict[str, float]).validate_python(await request.json())
        self._simulation.actions.durations.update(asked)
        return json_answer({"durations": self._simulation.actions.durations})


def _inventory_of(project: Project) -> dict[str, Any]:
    return {
        kind: [
            {"id": r["id"], "name": r.get("name"), "labels": r.get("labels", {}), "status": r.get("status")}
            for r in table.values()
        ]
        for kind, table in project.tables.items()
        if kind != "actions"
    }


def json_answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer of the control API."""
    return web.json_response(body, status=status, headers={"Server": SERVER})


def checked(handler: Handler) -> Handler:
    """Answer 422, with what is wrong, when a request's body does not pass."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ValidationError as error:
            problems = json.loads(error.json(include_input=False, include_url=False, include_context=False))
            return json_answer({"error": "the request does not pass", "problems": problems}, 422)
        except ValueError:
            return json_answer({"error": "the request does not pass"}, 422)

    return handle
