"""``streams`` and ``topology``: how the streams stand, and how they are made to be as this release wants them."""

from dataclasses import asdict

import click

from bus import Bus
from bus.sampling import ALARM_SHARE
from bus.survey import StreamRow, survey
from bus.topology import Change, Destructive, ensure_topology
from catalyst.broker import on_the_broker
from catalyst.commands.session import json_option, show
from catalyst.failing import Failure
from contracts.catalogue import CLI
from contracts.topology import ADMIN, PROV


@on_the_broker(CLI)
async def _survey(bus: Bus) -> list[StreamRow]:
    return await survey(bus.connection)


@click.command()
@json_option
def streams(*, as_json: bool) -> None:
    """Sizes, limits and consumers of every stream and bucket."""
    rows = _survey()
    body = [asdict(row) | {"used_share": row.used_share} for row in rows]
    show(body, as_json=as_json, text="\n".join(_lines(rows)))


def _lines(rows: list[StreamRow]) -> list[str]:
    lines = [f"{'STREAM':<14} {'MESSAGES':>9} {'SIZE':>10} {'FULL':>6}  SEQUENCES"]
    for row in rows:
        full = f"{row.used_share:.1%}" if row.limit else "-"
        alarm = "  filling up: give it room" if row.name == PROV and row.used_share >= ALARM_SHARE else ""
        size = _size(row.bytes)
        lines.append(f"{row.name:<14} {row.messages:>9} {size:>10} {full:>6}  {row.first}-{row.last}{alarm}")
        lines += [
            f"    {c.name:<20} {c.pending} pending, {c.ack_pending} in hand, {c.redelivered} redelivered"
            for c in row.consumers
        ]
    return lines


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004 - bytes in a KiB
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


@on_the_broker(ADMIN)
async def _ensure(bus: Bus, *, replicas: int, scale: float, destructive: bool, dry_run: bool) -> list[Change]:
    return await ensure_topology(
        bus.connection, replicas=replicas, scale=scale, destructive=destructive, dry_run=dry_run
    )


@click.command()
@click.option(
    "--replicas", type=click.Choice(["1", "3"]), default="1", show_default=True, help="Servers that hold a copy."
)
@click.option(
    "--scale", type=click.FloatRange(0, 100, min_open=True), default=1.0, show_default=True, help="Size of the limits."
)
@click.option("--dry-run", is_flag=True, help="Print the difference, change nothing.")
@click.option("--destructive", is_flag=True, help="Also carry out what loses data.")
@json_option
def topology(*, replicas: str, scale: float, dry_run: bool, destructive: bool, as_json: bool) -> None:
    """Create or update streams, consumers and buckets as the catalogue wants them; prints what differs."""
    try:
        changes = _ensure(replicas=int(replicas), scale=scale, destructive=destructive, dry_run=dry_run)
    except Destructive as error:
        raise Failure(f"{error}. Nothing was changed", "if that is meant, add --destructive") from None
    text = "\n".join(map(str, changes)) or "Everything is as it should be."
    show([str(change) for change in changes], as_json=as_json, text=text)
