"""The secrets that tofu-runner mints itself: once per life of a Sovereign, kept sealed to itself.

They are random, never derived, and written before they are used: a run that takes over finds the same ones, so that
nodes keep the user data they booted with and their reports are still theirs.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from contracts.tofu import NodeToken

STATE_KEY_BYTES = 32


def _token() -> str:
    return secrets.token_urlsafe(32)


def sha256(token: str) -> str:
    """What of a token may be known."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class NodeSecrets:
    """What the servers of one life are told."""

    hand_in: str = field(repr=False)
    k3s: str = field(repr=False)
    nodes: Mapping[str, str] = field(repr=False)

    @classmethod
    def minted(cls, *, begins: bool = True) -> "NodeSecrets":
        """New ones; no join token where there is a cluster already: its own is in the state."""
        return cls(hand_in=_token(), k3s=_token() if begins else "", nodes={})

    def covering(self, servers: Iterable[str]) -> "NodeSecrets":
        """These, with a token for each of the servers."""
        missing = {server: _token() for server in servers if server not in self.nodes}
        return self if not missing else NodeSecrets(self.hand_in, self.k3s, {**self.nodes, **missing})

    def hashes(self, servers: Iterable[str]) -> tuple[NodeToken, ...]:
        """What of the servers' tokens is told to the others."""
        return tuple(NodeToken(server=server, sha256=sha256(self.nodes[server])) for server in servers)

    def values(self) -> frozenset[str]:
        """Everything that must not be seen."""
        return frozenset({self.hand_in, self.k3s, *self.nodes.values()}) - {""}

    def dump(self) -> bytes:
        """For the vault."""
        return json.dumps({"hand_in": self.hand_in, "k3s": self.k3s, "nodes": dict(self.nodes)}).encode()

    @classmethod
    def load(cls, raw: bytes) -> "NodeSecrets":
        """From the vault."""
        body = json.loads(raw)
        return cls(hand_in=body["hand_in"], k3s=body["k3s"], nodes=dict(body["nodes"]))


def new_state_key() -> bytes:
    """A key for OpenTofu's state and plan encryption (AES-256-GCM)."""
    return secrets.token_bytes(STATE_KEY_BYTES)


def loopback_credential() -> str:
    """64 letters and digits, as the provider demands of a token; it ends with the run."""
    return base64.b32encode(secrets.token_bytes(40)).decode().lower()
