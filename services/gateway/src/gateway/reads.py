"""Reads of the stream over HTTP: the list, one Sovereign now or then, and what was said of it.

The list comes from the read model that intake keeps; everything else is the stream itself.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from aiohttp import web

from contracts.openapi import document
from contracts.summary import Summary
from contracts.view import View
from gateway.access import Caller, OwnerOf, require, require_own
from gateway.channel import Filter
from gateway.frames import Frame, sequence_of, token
from gateway.heartbeat import Heartbeat
from gateway.hub import Hub
from gateway.logbook import Logbook
from gateway.problems import refuse
from gateway.sse import stream, stream_logs

MAX_PAGE: Final = 10_000
_DEFAULT_PAGE: Final = 1_000
_DIGITS: Final = 18
_FOLDED_ROWS: Final = 200
"""So many lines of the list are told by their own events; beyond, by the read model alone."""
_USUAL_OF: Final = 20
"""So many Sovereigns tell what a phase usually takes."""
_ROW_FIELDS: Final = {
    "sovereign", "fqdn", "owner", "organisation", "life", "run", "state", "word", "sentence", "since", "begun_at",
    "region", "cost", "actor",
}  # fmt: skip
Row = dict[str, Any]
Summaries = Callable[[], Awaitable[Sequence[Summary]]]


@dataclass(frozen=True)
class Reads:
    """What the routes stand on."""

    hub: Hub
    heartbeat: Heartbeat
    summaries: Summaries
    owner_of: OwnerOf
    logbook: Logbook

    def routes(self) -> list[web.RouteDef]:
        """The reads of ``contracts.openapi``."""
        return [
            web.get("/api/v1/sovereigns", self.index),
            web.get("/api/v1/sovereigns/{sovereign}", self.show),
            web.get("/api/v1/sovereigns/{sovereign}/events", self.events),
            web.get("/api/v1/sovereigns/{sovereign}/logs", self.logs),
            web.get("/api/v1/openapi.json", self.openapi),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """Every Sovereign of the caller's organisation."""
        caller = require(request, "viewer")
        resume = token(self.hub.epoch, self.hub.position)
        rows = await rows_for(caller, self.summaries, self.hub)
        return _json({"sovereigns": rows, "resume": resume})

    async def show(self, request: web.Request) -> web.Response:
        """A Sovereign as it is, or as it was."""
        sovereign = await self._own(request)
        channel = await self.hub.channel(sovereign)
        if "at" in request.query:
            at = sequence_of(request.query["at"], epoch=self.hub.epoch, newest=self.hub.position)
            view = channel.view_at(at)
            if view.owner and view.owner != require(request, "viewer").account.owner:
                raise refuse("unknown-sovereign", attempted="look at an earlier life", on=sovereign)
        else:
            view = channel.view()
        return web.Response(
            text=view.model_dump_json(), content_type="application/json", headers={"Cache-Control": "no-store"}
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        """What was said: as a stream, or as a page of it."""
        sovereign = await self._own(request)
        only = Filter(require(request, "viewer").account.owner, _only(request))
        accept = request.headers.get("Accept", "")
        given = request.headers.get("Last-Event-ID") or request.query.get("from")
        after = sequence_of(given, epoch=self.hub.epoch, newest=self.hub.position)
        if "text/event-stream" in accept:
            with_view = request.query.get("view") == "1"
            return await stream(
                request, self.hub, self.heartbeat, sovereign, after=after, only=only, with_view=with_view
            )
        channel = await self.hub.channel(sovereign)
        start = channel.index_after(after) - channel.base
        found: list[Frame] = [frame for frame in channel.frames[start:] if only.passes(frame)]
        page = found[: _limit(request)]
        headers = {"Cache-Control": "no-store", "X-Resume": token(self.hub.epoch, page[-1].sequence if page else after)}
        rows = (_row(frame, self.hub.epoch) for frame in page)
        if "ndjson" in accept:
            body = b"".join(row + b"\n" for row in rows)
            return web.Response(body=body, content_type="application/x-ndjson", headers=headers)
        body = (
            b'{"events":[' + b",".join(rows) + b'],"more":' + (b"true" if len(found) > len(page) else b"false") + b"}"
        )
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """Log lines: the newest, or a stream of them and of what comes."""
        sovereign = await self._own(request)
        since = await self.hub.owned_since(sovereign, require(request, "viewer").account.owner)
        given = request.headers.get("Last-Event-ID") or request.query.get("from") or "0"
        if not given.isdecimal() or len(given) > _DIGITS:
            why = "from is the id of a log line, a number."
            raise refuse("invalid-request", attempted="read logs", on="from", message=why)
        accept = request.headers.get("Accept", "")
        if "text/event-stream" in accept:
            return await stream_logs(request, self.logbook, self.heartbeat, sovereign, since=since, after=int(given))
        limit, source = _limit(request), request.query.get("source", "")
        found = await self.logbook.tail(sovereign, since=since, after=int(given))
        lines = [line for line in found if not source or line["source"] == source][-limit:]
        if "ndjson" in accept:
            body = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
            return web.Response(text=body, content_type="application/x-ndjson", headers={"Cache-Control": "no-store"})
        return _json({"lines": lines})

    async def openapi(self, _request: web.Request) -> web.Response:
        """The document of everything here."""
        return _json(document())

    async def _own(self, request: web.Request) -> str:
        caller = require(request, "viewer")
        sovereign = request.match_info["sovereign"]
        await require_own(caller, sovereign, self.owner_of)
        return sovereign


async def rows_for(caller: Caller, summaries: Summaries, hub: Hub) -> list[Row]:
    """The list as this caller sees it, troubled ones first, in the words of the same fold as the run page."""
    rows: list[Row] = []
    for summary in await summaries():
        if caller.sees(summary.owner):
            view = (await hub.channel(summary.sovereign)).view() if len(rows) < _FOLDED_ROWS else None
            rows.append(_row_of(summary, view))
    return sorted(rows, key=lambda row: (_RANK.get(row["state"], 5), row["fqdn"]))


async def usual_seconds(caller: Caller, summaries: Summaries, hub: Hub, *, but: str) -> dict[str, float]:
    """What each phase took in the organisation's other, newest Sovereigns: the median, where any got through."""
    others = [row for row in await summaries() if caller.sees(row.owner) and row.sovereign != but]
    taken: dict[str, list[float]] = {}
    for summary in sorted(others, key=lambda row: row.since, reverse=True)[:_USUAL_OF]:
        for phase in (await hub.channel(summary.sovereign)).view().phases:
            if phase.mark == "done" and phase.seconds is not None:
                taken.setdefault(phase.name, []).append(phase.seconds)
    return {name: median(seconds) for name, seconds in taken.items()}


def _row_of(summary: Summary, view: View | None) -> Row:
    cost = {"monthly": summary.monthly_cost} if summary.monthly_cost else None
    row = {**summary.model_dump(mode="json"), "word": summary.state.capitalize(), "sentence": "", "cost": cost}
    if view is None or not view.life:
        return row
    row.update(view.model_dump(mode="json", include=_ROW_FIELDS))
    return {**row, "phases": [{"name": phase.name, "mark": phase.mark} for phase in view.phases]}


_RANK: Final = {"failed": 0, "degraded": 1, "waiting": 2, "provisioning": 3, "decommissioned": 9}


def _row(frame: Frame, epoch: str) -> bytes:
    return b'{"id":"%s-%d","event":%s}' % (epoch.encode(), frame.sequence, frame.raw)


def _only(request: web.Request) -> frozenset[str]:
    return frozenset(name for name in request.query.get("only", "").split(",") if name)


def _limit(request: web.Request) -> int:
    given = request.query.get("limit", str(_DEFAULT_PAGE))
    if not given.isdecimal() or not 0 < int(given[:9]) <= MAX_PAGE:
        why = f"limit is a number from 1 to {MAX_PAGE}."
        raise refuse("invalid-request", attempted="read events", on="limit", message=why)
    return int(given)


def _json(body: object) -> web.Response:
    return web.Response(
        text=json.dumps(body, default=str), content_type="application/json", headers={"Cache-Control": "no-store"}
    )
