"""The secrets of one life of a Sovereign as tofu-runner holds them: opened in memory, kept sealed to itself.

Those that others made (cloud token, zone credential) lie in the vault already; its own are minted once and put there
before they are used.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from bus import Conflict, seal
from contracts.catalogue import TOFU
from contracts.event import About
from contracts.questions import PublicKey
from contracts.request import SealedSecret, SecretRef
from tofu_runner.tokens import NodeSecrets, new_state_key

CLOUD_TOKEN = "cloud-token"  # noqa: S105 - the name of a secret, not one
ZONE_CREDENTIAL = "zone-credential"
ZONE_PARTS = ("url", "api_key", "nameserver", "tsig_name", "tsig_secret")
NODE_SECRETS = "node-secrets"
STATE_KEY = "state-key"
_FORGOTTEN = (CLOUD_TOKEN, ZONE_CREDENTIAL, NODE_SECRETS)


class SecretGone(Exception):
    """A secret that this step needs is not there any more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the secret {name!r} is gone")
        self.name = name


class Vault(Protocol):
    """What is needed of the vault."""

    async def put(self, sovereign: str, life: int, secret: SealedSecret) -> SecretRef:
        """Store a sealed secret; an earlier one of the same name is replaced."""

    async def put_once(self, sovereign: str, life: int, secret: SealedSecret) -> SecretRef:
        """Store a sealed secret unless there is one of that name."""

    async def open(self, sovereign: str, life: int, name: str) -> bytes:
        """The plaintext; KeyError when it is gone."""

    async def revision(self, sovereign: str, life: int, name: str) -> int:
        """Which secret of that name rests now; 0 when there never was one."""

    async def erase(self, sovereign: str, life: int, name: str, *, revision: int | None = None) -> None:
        """Remove it; absent is fine. With a revision, Conflict when it is another by now."""

    def public_keys(self) -> tuple[PublicKey, ...]:
        """Our public keys, newest first."""


class Account(Protocol):
    """Personal data by reference."""

    async def get(self, key: str) -> Any:
        """The value, or None."""


class Keep:
    """Opens, mints and erases."""

    def __init__(self, vault: Vault, account: Account) -> None:
        self._vault = vault
        self._account = account

    async def _open(self, about: About, name: str) -> bytes:
        try:
            return await self._vault.open(about.sovereign, about.life, name)
        except KeyError:
            raise SecretGone(name) from None

    def _sealed(self, about: About, name: str, plaintext: bytes) -> SealedSecret:
        to = self._vault.public_keys()[0]
        return seal(plaintext, to=to, reader=TOFU, purpose=name, bound_to=about.sovereign)

    async def cloud_token(self, about: About) -> str:
        """The real one; it goes into the pass-through and nowhere else."""
        return (await self._open(about, CLOUD_TOKEN)).decode().strip()

    async def zone_credential(self, about: About) -> Mapping[str, str]:
        """The Sovereign's own credential for its zone, part by part as the module wants it."""
        found = json.loads(await self._open(about, ZONE_CREDENTIAL))
        return {part: str(found[part]) for part in ZONE_PARTS}

    async def node_secrets(self, about: About, servers: Iterable[str], *, begins: bool = True) -> NodeSecrets:
        """This life's tokens, minted where they are missing; a join token only when the cluster is yet to begin."""
        try:
            known = NodeSecrets.load(await self._open(about, NODE_SECRETS))
        except SecretGone:
            known = None
        wanted = (known or NodeSecrets.minted(begins=begins)).covering(servers)
        if wanted is not known:
            await self._vault.put(about.sovereign, about.life, self._sealed(about, NODE_SECRETS, wanted.dump()))
        return wanted

    async def state_key(self, about: About) -> bytes:
        """The key of this life's state."""
        try:
            return await self._open(about, STATE_KEY)
        except SecretGone:
            await self._vault.put_once(about.sovereign, about.life, self._sealed(about, STATE_KEY, new_state_key()))
            return await self._open(about, STATE_KEY)

    async def admin_email(self, reference: str) -> str:
        """The address of the first administrator."""
        found = await self._account.get(reference)
        if found is None:
            raise SecretGone("admin e-mail")
        return str(json.loads(found.value)["email"])

    async def held(self, about: About) -> Mapping[str, int]:
        """What ``forget`` would erase: the revision of each secret that rests now."""
        return {name: await self._vault.revision(about.sovereign, about.life, name) for name in _FORGOTTEN}

    async def forget(self, about: About, held: Mapping[str, int] | None = None) -> None:
        """Erase what is not needed any more; the state's key stays as long as the state.

        With ``held``, a secret that was brought since stays.
        """
        for name in _FORGOTTEN:
            revision = held[name] if held is not None else None
            with suppress(Conflict):
                await self._vault.erase(about.sovereign, about.life, name, revision=revision)
