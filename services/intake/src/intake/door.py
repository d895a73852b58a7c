"""The bare subject: a request that an outsider published, judged like any other.

Accepted are a CloudEvent of type ``sovereign.requested.v1`` whose data is the request, or the request alone. The
outcome is ``sovereign.requested.<id>`` or ``request.rejected.<request-id>`` with every field error. The message itself
is erased by the bus before it is settled.
"""

import json
from typing import Any
from uuid import UUID, uuid5

from bus import Answer, DoorMessage, Journal
from bus.scan import secret_in
from contracts.errors import FieldError, Trouble, trouble
from contracts.event import NAMESPACE, About
from contracts.history import History
from contracts.questions import Asker
from contracts.sovereign import RequestRejected, SovereignRequested
from contracts.topology import DOOR, MAX_EVENT_BYTES
from intake.commands import Commands


class Door:
    """Judges what came through the bare subject."""

    def __init__(self, *, commands: Commands, journal: Journal, owner: str) -> None:
        self._commands = commands
        self._journal = journal
        self._owner = owner

    async def judge(self, message: DoorMessage) -> None:
        """Open a run, or say why not."""
        request_id = uuid5(NAMESPACE, f"door|{message.message_id}")
        body: dict[str, Any] = {}
        try:
            body, given = _body(message.payload)
            request_id = given or request_id
            await self._commands.take(body, request_id, Asker(actor="nats", owner=self._owner, roles=("operator",)))
        except Answer as refused:
            await self._reject(request_id, _fqdn(body), refused.trouble, refused.errors)

    async def _reject(self, request_id: UUID, fqdn: str, why: Trouble, errors: tuple[FieldError, ...]) -> None:
        about = About(sovereign=str(request_id), owner=self._owner, life=0, run=0)
        fact = RequestRejected(request_id=request_id, fqdn=fqdn, trouble=why, errors=errors)
        await self._journal.append([fact], about, cause=request_id, after=History(about.sovereign))


def _body(payload: bytes) -> tuple[dict[str, Any], UUID | None]:
    """The request in a message, and the id that its publisher gave it."""
    if len(payload) > MAX_EVENT_BYTES:
        raise _unreadable("message-too-large", f"{len(payload)} bytes; at most {MAX_EVENT_BYTES} (256 KiB)")
    try:
        read = json.loads(payload)
    except ValueError as error:
        raise _unreadable("not-an-event", f"not JSON: {error}") from None
    if not isinstance(read, dict):
        raise _unreadable("not-an-event", "JSON, but no object: send a request, or a CloudEvent with it as data")
    if "specversion" not in read:
        return read, None
    expected = SovereignRequested.type_name()
    if read.get("type") != expected or not isinstance(read.get("data"), dict):
        raise _unreadable("not-an-event", f"a CloudEvent of type {expected!r} with the request as data is read here")
    try:
        return read["data"], UUID(str(read.get("id")))
    except ValueError:
        return read["data"], uuid5(NAMESPACE, f"door|{read.get('source')}|{read.get('id')}")


def _unreadable(code: str, message: str) -> Answer:
    return Answer(trouble(code, attempted="read the request", on=DOOR, message=message))


def _fqdn(body: dict[str, Any]) -> str:
    domain = body.get("domain")
    name = domain.get("fqdn") if isinstance(domain, dict) else None
    # A secret in the wrong field is not repeated.
    return name[:253] if isinstance(name, str) and not secret_in(name.encode("utf-8", "replace")) else ""
