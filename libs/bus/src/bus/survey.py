"""How the streams stand: sizes, limits, and what each consumer still has to do."""

from dataclasses import dataclass
from typing import Any

from bus.connection import Connection
from bus.outcome import TryAgain
from bus.topology import consumer_rows
from contracts.topology import STREAMS, consumers


@dataclass(frozen=True)
class ConsumerRow:
    """One consumer."""

    name: str
    pending: int
    """Not delivered yet."""
    ack_pending: int
    """Delivered, not settled yet."""
    redelivered: int
    """Of those, delivered more than once."""


@dataclass(frozen=True)
class StreamRow:
    """One stream. Sizes in bytes; a limit of 0 means none."""

    name: str
    messages: int
    bytes: int
    limit: int
    replicas: int
    first: int
    last: int
    consumers: tuple[ConsumerRow, ...]

    @property
    def used_share(self) -> float:
        """Bytes over the limit; 0 without one."""
        return self.bytes / self.limit if self.limit else 0.0


async def standing(connection: Connection) -> list[StreamRow]:
    """Every stream and consumer of the catalogue, asked one by one, as a service may; TryAgain when one is not told."""
    rows = []
    for stream in STREAMS:
        info = await connection.api(f"$JS.API.STREAM.INFO.{stream.name}")
        if "error" in info:
            raise TryAgain(f"stream {stream.name} is not read: {info['error'].get('description')}")
        found = []
        for consumer in consumers():
            if consumer.stream == stream.name:
                row = await connection.api(f"$JS.API.CONSUMER.INFO.{stream.name}.{consumer.name}")
                if "error" not in row:
                    found.append(row)
        rows.append(_row(info, found))
    return rows


async def survey(connection: Connection) -> list[StreamRow]:
    """Every stream of the account, by name."""
    rows: list[StreamRow] = []
    total = 1
    while len(rows) < total:
        answer = await connection.api("$JS.API.STREAM.LIST", {"offset": len(rows)})
        if "error" in answer:
            raise TryAgain(f"the streams are not listed: {answer['error'].get('description')}")
        page = answer.get("streams") or []
        total = int(answer.get("total", 0)) if page else 0
        for info in page:
            config, state = info["config"], info["state"]
            found = await consumer_rows(connection, config["name"]) if state.get("consumer_count") else []
            rows.append(_row(info, found))
    return sorted(rows, key=lambda row: row.name)


def _row(info: dict[str, Any], found: list[dict[str, Any]]) -> StreamRow:
    config, state = info["config"], info["state"]
    return StreamRow(
        config["name"],
        int(state["messages"]),
        int(state["bytes"]),
        max(0, int(config["max_bytes"])),
        int(config["num_replicas"]),
        int(state["first_seq"]),
        int(state["last_seq"]),
        tuple(
            ConsumerRow(row["name"], row["num_pending"], row["num_ack_pending"], row["num_redelivered"])
            for row in found
        ),
    )
