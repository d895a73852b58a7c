"""Secrets that arrive in clear over HTTPS or loopback are sealed here, at once, to the one service that opens them.

Nothing of them is kept, logged or passed on. A browser or CLI that seals by itself sends ``secrets`` and this has
nothing to do. A token is tried before anything is asked for, so that one that cannot write is refused at the door.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from pydantic import ValidationError

from bus import Answer, seal
from contracts.catalogue import DNS, FLUX, KEYS, TOFU, TOKEN, Question
from contracts.errors import trouble
from contracts.event import Model
from contracts.openapi import Credentials
from contracts.questions import Asker, KeysReply, Nothing, Token, TokenReply
from contracts.request import SealedSecret
from gateway.problems import invalid

CLOUD_TOKEN: Final = "cloud-token"  # noqa: S105 - a purpose's name
REGISTRAR_TOKEN: Final = "registrar-token"  # noqa: S105 - a purpose's name
_READERS: Final = {"cloud_token": (TOFU, CLOUD_TOKEN), "registrar_token": (DNS, REGISTRAR_TOKEN)}


class Asking(Protocol):
    """The way to ask a question."""

    async def ask(self, question: Question, request: Model, *, asker: Asker | None = None) -> Any:
        """The typed reply; raises Answer, NobodyAnswers, TooSlow."""


class Sealing:
    """Seals to the services' public keys, as they answer them."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def seal(self, plaintext: bytes, *, reader: str, purpose: str, bound_to: str) -> SealedSecret:
        """To the reader's newest key."""
        reply: KeysReply = await self._asking.ask(KEYS[reader], Nothing())
        if not reply.keys:
            raise Answer(trouble("internal", attempted=f"seal to {reader}", on=reader, message="It has no keys."))
        return seal(plaintext, to=reply.keys[0], reader=reader, purpose=purpose, bound_to=bound_to)

    async def kubeconfig(self, body: bytes, sovereign: str) -> SealedSecret:
        """What a node hands in."""
        return await self.seal(body, reader=FLUX, purpose="kubeconfig", bound_to=sovereign)

    async def credentials(self, given: object, sovereign: str) -> list[SealedSecret]:
        """The sealed form of a body's ``credentials``."""
        try:
            clear = Credentials.model_validate(given)
        except ValidationError as error:
            raise invalid(error, attempted="read the credentials", on="credentials") from None
        sealed = []
        for field, (reader, purpose) in _READERS.items():
            value: str | None = getattr(clear, field)
            if value:
                sealed.append(await self.seal(value.encode(), reader=reader, purpose=purpose, bound_to=sovereign))
        return sealed

    async def check_cloud_token(self, secrets: Mapping[str, SealedSecret], asker: Asker) -> None:
        """Try a cloud token that came with a request; a refusal is the problem that the operator reads."""
        secret = secrets.get(CLOUD_TOKEN)
        if secret is None:
            return
        reply: TokenReply = await self._asking.ask(TOKEN, Token(secret=secret), asker=asker)
        if reply.valid and reply.can_write:
            return
        code = "token_readonly" if reply.valid else "unauthorized"
        raise Answer(reply.trouble or trouble(code, attempted="try the cloud token", on="credentials.cloud_token"))
