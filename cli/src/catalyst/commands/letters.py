"""``dlq``: what could not be handled, why, and what becomes of it."""

from datetime import UTC
from typing import Any

import click

from bus import Bus
from bus.dlq import DeadLetters, Entry
from catalyst.broker import on_the_broker
from catalyst.commands.session import json_option, show
from catalyst.failing import Failure
from contracts.catalogue import CLI

_SHOWN_BYTES = 4000

number_argument = click.argument("number", type=click.IntRange(min=1))


@click.group()
def dlq() -> None:
    """The dead letter queue: messages that no retry could help, kept 90 days."""


@on_the_broker(CLI)
async def _entries(bus: Bus) -> list[Entry]:
    return await DeadLetters(bus.connection).entries()


@on_the_broker(CLI)
async def _entry(bus: Bus, number: int) -> Entry:
    return await _known(bus, number)


@on_the_broker(CLI)
async def _replay(bus: Bus, number: int) -> Entry:
    try:
        return await DeadLetters(bus.connection).replay(number)
    except KeyError:
        raise _unknown(number) from None
    except ValueError as error:
        raise Failure(str(error), "catalyst dlq show tells what is kept of it; catalyst dlq drop forgets it") from None


@on_the_broker(CLI)
async def _drop(bus: Bus, number: int) -> None:
    await _known(bus, number)
    await DeadLetters(bus.connection).drop(number)


async def _known(bus: Bus, number: int) -> Entry:
    try:
        return await DeadLetters(bus.connection).entry(number)
    except KeyError:
        raise _unknown(number) from None


def _unknown(number: int) -> Failure:
    return Failure(f"there is no dead letter {number}", "catalyst dlq list shows which there are")


@dlq.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """Every dead letter: number, when, whose, what, why."""
    entries = _entries()
    lines = [
        f"{e.number:>6}  {e.letter.buried_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {e.kind:<14} {e.letter.consumer:<20} "
        f"{e.letter.subject}  {e.letter.reason}"
        for e in entries
    ]
    show([_body(entry) for entry in entries], as_json=as_json, text="\n".join(lines) or "There are no dead letters.")


@dlq.command(name="show")
@number_argument
@json_option
def show_(number: int, *, as_json: bool) -> None:
    """One dead letter whole. A payload that may hold a secret was never kept, so it cannot be shown."""
    entry = _entry(number)
    letter = entry.letter
    rows = {
        "number": entry.number,
        "kind": entry.kind,
        "consumer": letter.consumer,
        "original": f"sequence {letter.sequence} of {letter.stream}, on {letter.subject}",
        "reason": letter.reason,
        "attempts": letter.attempts,
        "buried at": letter.buried_at.isoformat(),
        "payload sha256": letter.payload_sha256,
        "replayable": "yes" if entry.replayable else "no",
    }
    lines = [f"{name:<15} {value}" for name, value in rows.items()]
    lines += [f"header          {name}: {value}" for name, value in letter.headers.items()]
    lines += ["payload", _text(letter.payload) if letter.payload is not None else f"  not kept: {letter.withheld}"]
    show(_body(entry), as_json=as_json, text="\n".join(lines))


@dlq.command()
@number_argument
@json_option
def replay(number: int, *, as_json: bool) -> None:
    """Give the original to its consumer's service again, and to nobody else."""
    entry = _replay(number)
    text = f"{entry.letter.subject} goes to {entry.letter.consumer} again; it is buried anew if that fails."
    show(_body(entry), as_json=as_json, text=text)


@dlq.command()
@number_argument
@json_option
def drop(number: int, *, as_json: bool) -> None:
    """Forget a dead letter. A fact that it was about stays in its stream."""
    _drop(number)
    show({"dropped": number}, as_json=as_json, text=f"dead letter {number} is dropped")


def _body(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "kind": entry.kind,
        "replayable": entry.replayable,
        **entry.letter.model_dump(mode="json"),
    }


def _text(payload: bytes) -> str:
    shown = payload[:_SHOWN_BYTES].decode("utf-8", "replace")
    return shown if len(payload) <= _SHOWN_BYTES else f"{shown}… ({len(payload)} bytes)"
