"""Sessions without a store: a signed cookie names the account and an end, a second signature guards its forms.

Any gateway with the same key reads it. What a local account may do is looked up at each call, so its cookie carries no
rights; an account of the provider's is known nowhere else, so its cookie carries them, and ends sooner. The token for
forms is derived from the session, is no cookie, and therefore another site cannot send it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from contracts.account import Account

COOKIE: Final = "catalyst_session"
MIN_KEY_BYTES: Final = 32
_SESSION: Final = "session"


@dataclass(frozen=True)
class Session:
    """Who logged in, until when."""

    account: str
    ends_at: float
    nonce: str
    provided: Account | None = None
    """The account as the provider described it at the login; None for a local one."""


class Sessions:
    """Makes and reads what this installation signs for a browser to keep."""

    def __init__(self, key: bytes, *, hours: float) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the session key has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
        self._key = key
        self._hours = hours

    @classmethod
    def from_file(cls, path: Path | None, *, hours: float) -> "Sessions":
        """With the shared key, or with one that ends with this process."""
        return cls(path.read_bytes() if path else secrets.token_bytes(MIN_KEY_BYTES), hours=hours)

    def begin(self, account: str) -> str:
        """A cookie's value for a fresh login."""
        return self.write(_SESSION, {"a": account, "n": secrets.token_hex(8)}, lasts_s=self._hours * 3600)

    def begin_provided(self, account: Account, *, hours: float) -> str:
        """The same for an account of the provider's, with what it may do."""
        body = {"a": account.name, "n": secrets.token_hex(8), "o": account.owner, "r": list(account.roles)}
        return self.write(_SESSION, body, lasts_s=hours * 3600)

    def read(self, cookie: str) -> Session | None:
        """The session, if it is ours and has not ended."""
        body = self.read_signed(_SESSION, cookie)
        if body is None:
            return None
        try:
            name = str(body["a"])
            provided = Account(name=name, owner=body["o"], roles=body["r"]) if "o" in body else None
            return Session(name, float(body["e"]), str(body["n"]), provided)
        except (ValidationError, ValueError, KeyError, TypeError):
            return None

    def put(self, response: web.StreamResponse, value: str, *, secure: bool) -> None:
        """Give a browser its session; it forgets it when the session ends."""
        session = self.read(value)
        lasts = int(session.ends_at - time.time()) if session else 0
        response.set_cookie(COOKIE, value, max_age=lasts, httponly=True, samesite="Strict", secure=secure, path="/")

    def form_token(self, session: Session) -> str:
        """What a page of this session sends back with every command."""
        return self._sign("form", f"{session.account}.{session.nonce}")

    def form_token_holds(self, session: Session, token: str) -> bool:
        """Whether a command came from a page of this session."""
        return hmac.compare_digest(token.encode(), self.form_token(session).encode())

    def write(self, purpose: str, body: Mapping[str, Any], *, lasts_s: float) -> str:
        """Something signed for one purpose, good until its end."""
        payload = base64.urlsafe_b64encode(json.dumps({**body, "e": time.time() + lasts_s}).encode()).decode()
        return f"{payload}.{self._sign(purpose, payload)}"

    def read_signed(self, purpose: str, text: str) -> dict[str, Any] | None:
        """What ``write`` wrote for this purpose, unless it has ended."""
        payload, _, signature = text.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(purpose, payload).encode()):
            return None
        try:
            body = json.loads(base64.urlsafe_b64decode(payload))
        except (ValueError, binascii.Error):
            return None
        return body if isinstance(body, dict) and float(body.get("e", 0)) > time.time() else None

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
