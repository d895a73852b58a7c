"""How the streams stand: sizes, limits, and what each consumer still has to do."""

from dataclasses import dataclass

from bus.connection import Connection
from bus.outcome import TryAgain
from bus.topology import consumer_rows


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
            rows.append(
                StreamRow(
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
            )
    return sorted(rows, key=lambda row: row.name)
