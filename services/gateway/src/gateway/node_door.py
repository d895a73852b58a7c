"""The door for new servers: boot stages and one kubeconfig. The only calls that do not come from people.

A node shows a token that was minted for it. Only the token's hash goes on; intake compares it with what tofu-runner
said. The kubeconfig is sealed to flux-watcher before anything else happens to it. The same body with the same token is
answered again the same way, since its hash is what intake compares.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from contracts.catalogue import NODE_ENROL, NODE_STAGE
from contracts.identity import fqdn_of, sovereign_id
from contracts.questions import NodeEnrol, NodeStage
from gateway.access import remote_of
from gateway.api import answer, json_object
from gateway.limits import Limit
from gateway.problems import invalid, refuse
from gateway.sealing import Asking, Sealing

MAX_STAGE_BYTES: Final = 128 * 1024
MAX_KUBECONFIG_BYTES: Final = 12 * 1024
"""A kubeconfig with one cluster, one user and a bearer token is about 3 KiB; its sealed form must fit the contract."""


@dataclass(frozen=True)
class NodeDoor:
    """What the two routes stand on."""

    asking: Asking
    sealing: Sealing
    limit: Limit
    trusted_proxy: bool

    def routes(self) -> list[web.RouteDef]:
        """The two calls that a node makes."""
        return [
            web.route(NODE_STAGE.method or "POST", NODE_STAGE.path or "", self.stage),
            web.route(NODE_ENROL.method or "PUT", NODE_ENROL.path or "", self.enrol),
        ]

    async def stage(self, request: web.Request) -> web.Response:
        """A boot stage begun, done or failed."""
        sovereign, token = self._enter(request)
        if len(await request.read()) > MAX_STAGE_BYTES:
            raise refuse("message-too-large", attempted="report a boot stage", on=sovereign)
        given = await json_object(request)
        log = given.get("log", [])
        given["log"] = [str(line)[:2000] for line in log][-50:] if isinstance(log, list) else log
        try:
            report = NodeStage.model_validate({**given, "sovereign": sovereign, "token_sha256": token})
        except ValidationError as error:
            raise invalid(error, attempted="report a boot stage", on=sovereign) from None
        return answer(await self.asking.ask(NODE_STAGE, report))

    async def enrol(self, request: web.Request) -> web.Response:
        """The first control plane hands in its kubeconfig."""
        sovereign, token = self._enter(request)
        body = await request.read()
        if len(body) > MAX_KUBECONFIG_BYTES:
            raise refuse("message-too-large", attempted="hand in a kubeconfig", on=sovereign)
        if not body.strip():
            raise refuse("unreadable-body", attempted="hand in a kubeconfig", on=sovereign)
        sealed = await self.sealing.kubeconfig(body, sovereign)
        hand_in = NodeEnrol(
            sovereign=sovereign,
            token_sha256=token,
            kubeconfig=sealed,
            body_sha256=hashlib.sha256(body).hexdigest(),
            caller_ip=remote_of(request, trusted_proxy=self.trusted_proxy),
        )
        return answer(await self.asking.ask(NODE_ENROL, hand_in))

    def _enter(self, request: web.Request) -> tuple[str, str]:
        """The Sovereign in the path and the hash of the shown token."""
        attempted = f"{request.method} {request.path}"
        sovereign = request.match_info["sovereign"]
        try:
            known = sovereign_id(fqdn_of(sovereign)) == sovereign
        except ValueError:
            known = False
        if not known:
            raise refuse("no-such-page", attempted=attempted)
        self.limit.take(sovereign, attempted=attempted)
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise refuse("node-unauthorized", attempted=attempted)
        return sovereign, hashlib.sha256(token.strip().encode()).hexdigest()
