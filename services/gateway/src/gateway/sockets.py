"""``/ws``: one socket, several subscriptions. What a client may say is small and checked; all else is refused.

    {"type": "subscribe", "channel": "<id>" | "*", "from": "<resume>", "only": ["tofu", "hr.ready"], "view": true,
     "logs": true, "logs_from": <number of a log line>}
    {"type": "unsubscribe", "channel": "<id>"}

One subscription per channel: a second one replaces the first. Answers: ``subscribed``, ``event``…, ``live``, ``view``,
``log``, ``heartbeat``, and ``problem`` with the same document as HTTP. Close codes: 1003 binary, 1008 not allowed,
1009 too large, 1013 too slow (resume from the last id).
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from bus import Answer
from contracts.errors import trouble
from gateway.access import Caller, OwnerOf, require, require_own, same_origin
from gateway.channel import Filter, Subscription
from gateway.frames import EVERYTHING, said, sequence_of, token
from gateway.heartbeat import Heartbeat
from gateway.hub import Hub
from gateway.logbook import Logbook, LogPlace
from gateway.problems import Problem, document, invalid, refuse
from gateway.viewers import CLOSE_SLOW, TransportViewer

MAX_FRAME_BYTES: Final = 64 * 1024
MAX_SUBSCRIPTIONS: Final = 50
_MAX_PROBLEMS: Final = 20
"""A client that only says nonsense is told so often, then closed."""

ChannelName = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9][a-z0-9_-]{0,62})$")]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channel: ChannelName


class Subscribe(_Said):
    """Open or replace a subscription."""

    type: Literal["subscribe"]
    after: Annotated[str, StringConstraints(max_length=80)] | int | None = Field(default=None, alias="from")
    only: frozenset[Annotated[str, StringConstraints(max_length=60)]] = Field(default=frozenset(), max_length=60)
    view: bool = False
    logs: bool = False
    logs_from: int = Field(default=0, ge=0)


class Unsubscribe(_Said):
    """Close a subscription."""

    type: Literal["unsubscribe"]


_COMMANDS: Final[TypeAdapter[Subscribe | Unsubscribe]] = TypeAdapter(
    Annotated[Subscribe | Unsubscribe, Field(discriminator="type")]
)


@dataclass(frozen=True)
class Sockets:
    """What the socket route stands on."""

    hub: Hub
    heartbeat: Heartbeat
    owner_of: OwnerOf
    public_url: str
    logbook: Logbook

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One socket, from handshake to close."""
        caller = require(request, "viewer")
        if not same_origin(request, self.public_url):
            raise refuse("cross-origin", attempted="open a WebSocket")
        socket = web.WebSocketResponse(heartbeat=20.0, compress=False, max_msg_size=MAX_FRAME_BYTES)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket  # the browser is gone already
        open_socket = _Socket(self, socket, TransportViewer(transport, "ws"), caller)
        self.heartbeat.join(open_socket.viewer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(open_socket.close_when_told())
                await open_socket.listen()
                open_socket.viewer.closed.set()
        finally:
            self.heartbeat.leave(open_socket.viewer)
            open_socket.forget()
        return socket


class _Socket:
    def __init__(self, door: Sockets, socket: web.WebSocketResponse, viewer: TransportViewer, caller: Caller) -> None:
        self._door, self._socket, self.viewer, self._caller = door, socket, viewer, caller
        self._places: dict[str, Subscription] = {}
        self._logs: dict[str, LogPlace] = {}
        self._problems = 0

    async def listen(self) -> None:
        """Until the client closes, or says what ends it."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                await self._socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text frames only")
                return
            try:
                await self._command(message.data)
            except Problem as problem:
                self._refuse(problem)
            except Answer as refused:
                self._refuse(Problem(refused.trouble, refused.errors))
            if self._problems > _MAX_PROBLEMS:
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many refused commands")
                return

    async def _command(self, text: str) -> None:
        try:
            command = _COMMANDS.validate_json(text)
        except ValidationError as error:
            raise invalid(error, attempted="read a socket command", on="command") from None
        if isinstance(command, Unsubscribe):
            self._leave(command.channel)
            return
        if command.channel not in self._places and len(self._places) >= MAX_SUBSCRIPTIONS:
            why = f"At most {MAX_SUBSCRIPTIONS} subscriptions on one socket."
            raise refuse("too-many-requests", attempted="subscribe", on=command.channel, message=why)
        if command.channel != EVERYTHING:
            await require_own(self._caller, command.channel, self._door.owner_of)
        hub = self._door.hub
        after = sequence_of(command.after, epoch=hub.epoch, newest=hub.position)
        if command.channel == EVERYTHING:
            after = self._recent(command.after, after)
        self._leave(command.channel)
        body = {"channel": command.channel, "id": token(hub.epoch, after)}
        self.viewer.write(said("ws", "subscribed", body))
        only = Filter(self._caller.account.owner, command.only)
        self._places[command.channel] = await hub.subscribe(
            self.viewer, command.channel, after=after, only=only, with_view=command.view
        )
        if command.logs and command.channel != EVERYTHING:
            since = await hub.owned_since(command.channel, self._caller.account.owner)
            self._logs[command.channel] = await self._door.logbook.look(
                self.viewer, command.channel, since=since, after=command.logs_from
            )

    def _recent(self, given: str | int | None, after: int) -> int:
        """The channel of everything goes back only a little; without a token it begins now."""
        hub = self._door.hub
        if given is None:
            return hub.position
        if hub.recent.frames and after < hub.recent.frames[0].sequence - 1 and hub.recent.base:
            raise Problem(trouble("resume-unknown", attempted="resume the channel of everything", on=str(given)))
        return after

    def _leave(self, channel: str) -> None:
        place = self._places.pop(channel, None)
        if place is not None:
            self._door.hub.unsubscribe(place)
        logs = self._logs.pop(channel, None)
        if logs is not None:
            self._door.logbook.leave(logs)

    def _refuse(self, problem: Problem) -> None:
        self._problems += 1
        body = document(problem.trouble, problem.errors).model_dump_json()
        self.viewer.write(said("ws", "problem", f'{{"problem":{body}}}'))

    async def close_when_told(self) -> None:
        """The hub closes a viewer that takes nothing."""
        await self.viewer.closed.wait()
        if not self._socket.closed:
            await self._socket.close(code=CLOSE_SLOW, message=self.viewer.why.encode()[:120], drain=False)

    def forget(self) -> None:
        """Give up every place."""
        for channel in tuple(self._places):
            self._leave(channel)
