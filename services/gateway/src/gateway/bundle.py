"""The support bundle: what the runbook's escalation asks for, as one redacted archive with a signed list.

It is put together from what the caller may see anyway: the facts, the view, the log lines, and three questions. What
cannot be had now is told by a line in its place; an archive with a hole is better than none at the moment it is needed.
"""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from bus import Answer, NobodyAnswers, SealKeys, TooSlow, TryAgain
from bus.sign import signed
from contracts.bundle import DIGESTS, ISSUE, BundleFile, BundleList
from contracts.catalogue import CLUSTER_EVENTS, STATE_VERSIONS, Question
from contracts.questions import OfSovereign
from contracts.view import View
from gateway.access import Caller, OwnerOf, require, require_own
from gateway.channel import Filter
from gateway.frames import Frame, token
from gateway.heartbeat import Heartbeat
from gateway.hub import Hub
from gateway.limits import Limit
from gateway.logbook import Logbook
from gateway.redaction import checked, clean, json_text, text
from gateway.sealing import Asking

LAST_FACTS: Final = 50
SIGNATURE: Final = "signature.json"
_README: Final = """\
Support bundle of {fqdn} ({region}), run {run}, made {made_at:%Y-%m-%d %H:%M:%S} UTC

File it with what you saw and expected: {issue}&title={title}

summary.json             the Sovereign as its page shows it: state, phases, releases, DNS, trouble, what to do
events-last-50.ndjson    the last 50 facts; events.ndjson holds all of them
cluster-events.txt       the last 100 events of the cluster's flux-system
logs.ndjson              the newest log lines of the cluster's controllers
tofu.json                plan, resources and kept state versions of OpenTofu; its variables and its state, which hold
                         credentials, are left out
health.json              which services were alive
{digests}             SHA-256 of each file; {signature} signs it

Secrets, ciphertexts, SSH keys and e-mail addresses are withheld. Check it: catalyst bundle verify FILE
"""


@dataclass(frozen=True)
class Bundles:
    """What the route stands on."""

    hub: Hub
    heartbeat: Heartbeat
    logbook: Logbook
    asking: Asking
    owner_of: OwnerOf
    keys: SealKeys
    limit: Limit

    def routes(self) -> list[web.RouteDef]:
        """One archive per call."""
        return [web.get("/api/v1/sovereigns/{sovereign}/bundle", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        """The archive of one Sovereign."""
        caller = require(request, "viewer")
        sovereign = request.match_info["sovereign"]
        await require_own(caller, sovereign, self.owner_of)
        self.limit.take(caller.account.name, attempted="make a support bundle")
        archive = await self.make(sovereign, caller)
        name = f"catalyst-bundle-{sovereign}.zip"
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=archive, status=HTTPStatus.OK, content_type="application/zip", headers=headers)

    async def make(self, sovereign: str, caller: Caller) -> bytes:
        """Ask, redact, list, sign, pack."""
        channel = await self.hub.channel(sovereign)
        only = Filter(caller.account.owner)
        frames = [frame for frame in channel.frames if only.passes(frame)]
        view = channel.view()
        asked = OfSovereign(sovereign=sovereign)
        events, versions = await asyncio.gather(
            self._ask(CLUSTER_EVENTS, asked, caller), self._ask(STATE_VERSIONS, asked, caller)
        )
        lines = await self._log_lines(sovereign, caller)
        about = BundleList(
            sovereign=sovereign,
            fqdn=view.fqdn,
            region=view.region,
            run=view.run,
            upto=token(self.hub.epoch, frames[-1].sequence if frames else 0),
            made_at=datetime.now(UTC),
            made_for=caller.account.name,
            files=(),
        )
        health = self.heartbeat.body()

        def pack() -> bytes:
            facts = [_fact(frame, self.hub.epoch) for frame in frames]
            content = {
                "README.txt": _readme(about),
                "summary.json": json_text(view.model_dump(mode="json")),
                "events-last-50.ndjson": _ndjson(facts[-LAST_FACTS:]),
                "events.ndjson": _ndjson(facts),
                "cluster-events.txt": _lines(events.get("events", [events.get("not had", "")])),
                "logs.ndjson": _ndjson(lines),
                "tofu.json": json_text(_tofu(view, versions)),
                "health.json": json_text(health),
            }
            return packed(content, about, self.keys)

        return await asyncio.to_thread(pack)

    async def _ask(self, question: Question, asked: OfSovereign, caller: Caller) -> dict[str, Any]:
        try:
            reply = await self.asking.ask(question, asked, asker=caller.asker)
        except Answer as refused:
            return {"not had": f"{refused.trouble.code}: {refused.trouble.message or refused.trouble.next_step}"}
        except (NobodyAnswers, TooSlow) as error:
            return {"not had": str(error)}
        found: dict[str, Any] = reply.model_dump(mode="json")
        return found

    async def _log_lines(self, sovereign: str, caller: Caller) -> list[dict[str, Any]]:
        since = await self.hub.owned_since(sovereign, caller.account.owner)
        try:
            return await self.logbook.tail(sovereign, since=since)
        except (TryAgain, TimeoutError) as error:
            return [{"not had": str(error)}]


def packed(content: Mapping[str, str], about: BundleList, keys: SealKeys) -> bytes:
    """The archive: every file, the list of their digests, and its signature."""
    rows = {name: body.encode() for name, body in content.items()}
    files = tuple(
        BundleFile(name=name, sha256=hashlib.sha256(raw).hexdigest(), bytes=len(raw)) for name, raw in rows.items()
    )
    digests = about.model_copy(update={"files": files}).model_dump_json(indent=1)
    rows[DIGESTS] = digests.encode()
    rows[SIGNATURE] = signed(digests, keys).model_dump_json(indent=1).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in rows.items():
            entry = zipfile.ZipInfo(name, about.made_at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, raw)
    return out.getvalue()


def _readme(about: BundleList) -> str:
    return _README.format(
        fqdn=about.fqdn,
        region=about.region,
        run=about.run,
        made_at=about.made_at,
        issue=ISSUE,
        title=quote(f"Provisioning of {about.fqdn} in {about.region}"),
        digests=DIGESTS,
        signature=SIGNATURE,
    )


def _fact(frame: Frame, epoch: str) -> dict[str, Any]:
    try:
        return {"id": token(epoch, frame.sequence), "event": json.loads(frame.raw)}
    except ValueError:
        return {"id": token(epoch, frame.sequence), "event": frame.raw.decode(errors="replace")}


def _tofu(view: View, versions: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "plan": view.plan.model_dump(mode="json") if view.plan else None,
        "resources": [row.model_dump(mode="json") for row in view.resources],
        "servers": [row.model_dump(mode="json") for row in view.servers],
        "calls of the cloud": view.cloud_calls,
        "state": dict(versions),
    }


def _ndjson(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(checked(json.dumps(clean(row), separators=(",", ":"), ensure_ascii=False) + "\n") for row in rows)


def _lines(rows: Sequence[str]) -> str:
    return "".join(checked(f"{text(row)}\n") for row in rows)
