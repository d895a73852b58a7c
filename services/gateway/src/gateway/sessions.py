"""Sessions without a store: a signed cookie names the account and an end, a second signature guards its forms.

Any gateway with the same key reads it. What the account may do is looked up at each call, so the cookie carries no
rights. The token for forms is derived from the session, is no cookie, and therefore another site cannot send it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COOKIE: Final = "catalyst_session"
MIN_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class Session:
    """Who logged in, until when."""

    account: str
    ends_at: float
    nonce: str


class Sessions:
    """Makes and reads session cookies."""

    def __init__(self, key: bytes, *, hours: float) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the session key has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
        self._key = key
        self.lasts_s = hours * 3600

    @classmethod
    def from_file(cls, path: Path | None, *, hours: float) -> "Sessions":
        """With the shared key, or with one that ends with this process."""
        return cls(path.read_bytes() if path else secrets.token_bytes(MIN_KEY_BYTES), hours=hours)

    def begin(self, account: str) -> str:
        """A cookie's value for a fresh login."""
        body = {"a": account, "e": time.time() + self.lasts_s, "n": secrets.token_hex(8)}
        payload = base64.urlsafe_b64encode(json.dumps(body).encode()).decode()
        return f"{payload}.{self._sign('session', payload)}"

    def read(self, cookie: str) -> Session | None:
        """The session, if it is ours and has not ended."""
        payload, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", payload).encode()):
            return None
        try:
            body = json.loads(base64.urlsafe_b64decode(payload))
            session = Session(str(body["a"]), float(body["e"]), str(body["n"]))
        except (ValueError, KeyError, TypeError, binascii.Error):
            return None
        return session if session.ends_at > time.time() else None

    def form_token(self, session: Session) -> str:
        """What a page of this session sends back with every command."""
        return self._sign("form", f"{session.account}.{session.nonce}")

    def form_token_holds(self, session: Session, token: str) -> bool:
        """Whether a command came from a page of this session."""
        return hmac.compare_digest(token.encode(), self.form_token(session).encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
