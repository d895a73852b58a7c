"""What a service signed, in a file: verified with the keys that the gateway tells, or with keys kept before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from catalyst.commands.session import on_the_edge
from catalyst.edge import Edge
from contracts.proof import SigningKey
from contracts.questions import KeysReply

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def signed_file(service: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The argument ``file``, and the option ``--keys`` for verifying without the gateway."""
    told = f"The answer of GET /api/v1/keys/{service}, kept in a file: verify without the gateway."

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        option = click.option("--keys", "keys_file", type=_FILE, help=told)
        return click.argument("file", type=_FILE)(option(command))

    return decorated


def signing_keys(service: str, keys_file: Path | None) -> tuple[SigningKey, ...]:
    """The keys that a service signs with: as kept in the file, else as the gateway tells."""
    return KeysReply.model_validate_json(keys_file.read_text()).signing if keys_file else _asked_for(service)


@on_the_edge
async def _asked_for(session: Edge, service: str) -> tuple[SigningKey, ...]:
    return KeysReply.model_validate(await session.call("GET", f"/api/v1/keys/{service}")).signing
