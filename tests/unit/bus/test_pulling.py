"""The pull loop's own decisions, against a simulated client."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

from nats.aio.msg import Msg

from bus.brake import Brake
from bus.metrics import Metrics
from bus.pull import Puller
from contracts.topology import consumers

ROW = next(row for row in consumers() if row.name == "dns-pdm-work")


class SimulatedClient:
    """Always connected; keeps what is published, in order, and brings messages when the test says so."""

    is_connected = True

    def __init__(self) -> None:
        self.published: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.arrive: Callable[[Msg], Awaitable[None]]

    def new_inbox(self) -> str:
        return "_INBOX.one"

    async def subscribe(self, _subject: str, cb: Callable[[Msg], Awaitable[None]]) -> "SimulatedClient":
        self.arrive = cb
        return self

    async def unsubscribe(self) -> None:
        """The subscription is the client itself."""

    async def publish(self, subject: str, payload: bytes = b"", **_more: str) -> None:
        await self.published.put((subject, payload))

    async def asked(self) -> int:
        """How many messages the next request is for."""
        return int(json.loads((await self.published.get())[1])["batch"])

    async def bring(self, name: str) -> None:
        await self.arrive(Msg(_client=cast("Any", self), subject=name, reply=f"$JS.ACK.{name}", data=b"{}"))


def puller_of(client: SimulatedClient, deliver: Callable[[Msg, str], Awaitable[str]], *, slots: int) -> Puller:
    connection = cast("Any", SimpleNamespace(client=client))
    return Puller(connection, ROW, deliver, slots=slots, metrics=Metrics(), brake=Brake())


async def test_after_long_work_in_every_slot_no_more_is_asked_for_than_slots_are_free() -> None:
    client, stop = SimulatedClient(), asyncio.Event()
    ended = {str(number): asyncio.Event() for number in range(8)}

    async def deliver(message: Msg, _consumer: str) -> str:
        await ended[message.subject].wait()
        return "done"

    puller = puller_of(client, deliver, slots=8)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(puller.run(stop, grace_s=10))
        assert await client.asked() == len(ended)
        for name in ended:
            await client.bring(name)
        puller._heard_at -= 3600  # the work took an hour, in which nothing was asked for
        for name in ("0", "1", "2", "3"):
            ended[name].set()
        asked = await client.asked()
        for name in ("4", "5", "6", "7"):
            ended[name].set()
        while asked < len(ended):
            asked += await client.asked()
        stop.set()
    assert asked == len(ended)
