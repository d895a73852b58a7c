"""From a provider's claims to one of our accounts: name, organisation and roles, or why they make none."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from contracts.account import Account, AccountRole, UserName
from contracts.identity import Owner
from gateway.problems import Problem, refuse

ROLES: Final[tuple[AccountRole, ...]] = get_args(AccountRole)
_NAME: Final[TypeAdapter[str]] = TypeAdapter(UserName)
_OWNER: Final[TypeAdapter[str]] = TypeAdapter(Owner)


@dataclass(frozen=True)
class Reading:
    """Which claims tell what."""

    name_claim: str
    owner_claim: str
    roles_claim: str
    roles: Mapping[str, AccountRole]
    """The provider's names of our roles; empty: its names are ours."""

    def account(self, claims: Mapping[str, Any]) -> Account:
        """Whom these claims are about; Problem when they give no organisation, or none of our roles."""
        owner = claims.get(self.owner_claim)
        roles = self._roles(claims.get(self.roles_claim))
        try:
            organisation = _OWNER.validate_python(owner.lower() if isinstance(owner, str) else owner)
        except ValidationError:
            raise _no_account(f"The claim {self.owner_claim} names no organisation.") from None
        if not roles:
            raise _no_account(f"The claim {self.roles_claim} holds none of our roles.")
        return Account(name=self._name(claims), owner=organisation, roles=roles)

    def _name(self, claims: Mapping[str, Any]) -> str:
        """A name that the audit trail may hold: no e-mail address, else one made of issuer and subject."""
        given = claims.get(self.name_claim)
        try:
            return _NAME.validate_python(given.lower() if isinstance(given, str) else given)
        except ValidationError:
            return pseudonym(claims)

    def _roles(self, given: object) -> tuple[AccountRole, ...]:
        names = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        known = self.roles or {role: role for role in ROLES}
        found = {known[name] for name in names if isinstance(name, str) and name in known}
        return tuple(role for role in ROLES if role in found)


def pseudonym(claims: Mapping[str, Any]) -> str:
    """A stable name for a subject that has none of its own, or one that a local account has already."""
    return "sso-" + hashlib.sha256(f"{claims.get('iss')} {claims.get('sub')}".encode()).hexdigest()[:16]


def _no_account(message: str) -> Problem:
    return refuse("not-allowed", attempted="log in by the provider", on="login", message=message)
