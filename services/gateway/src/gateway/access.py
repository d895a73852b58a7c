"""Who calls and what they may: the session or token, the page's origin, the role, the owner of a Sovereign.

A caller belongs to one organisation and sees its Sovereigns only; another's answers as if it did not exist. Roles:
viewer reads, operator commands, approver approves plans, admin may all of it. Every question carries the caller.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from contracts.account import Account, AccountRole
from contracts.questions import Asker
from gateway.accounts import People
from gateway.problems import refuse
from gateway.sessions import COOKIE, Session, Sessions

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_TOKEN: Final = "X-Form-Token"  # noqa: S105 - a header's name
_GRANTS: Final[dict[str, frozenset[AccountRole]]] = {
    "viewer": frozenset({"viewer", "operator", "approver", "admin"}),
    "operator": frozenset({"operator", "admin"}),
    "approver": frozenset({"approver", "admin"}),
}


@dataclass(frozen=True)
class Caller:
    """An authenticated account; with a session when it came from a browser."""

    account: Account
    session: Session | None = None

    @property
    def asker(self) -> Asker:
        """As questions carry it."""
        return Asker(actor=self.account.name, owner=self.account.owner, roles=self.account.roles)

    def may(self, role: str) -> bool:
        """Whether one of the account's roles grants this one."""
        return not _GRANTS.get(role, frozenset()).isdisjoint(self.account.roles)

    def sees(self, owner: str | None) -> bool:
        """Whether a Sovereign of this owner is theirs."""
        return owner is not None and owner == self.account.owner


CALLER: Final = web.RequestKey("caller", Caller)
OwnerOf = Callable[[str], Awaitable[str | None]]
"""Who owns the current life of a Sovereign; None when there is none."""


def caller_of(request: web.Request) -> Caller | None:
    """Who calls, if anybody."""
    return request.get(CALLER)


def require(request: web.Request, role: str) -> Caller:
    """The caller, who must have this role."""
    asked = f"{request.method} {request.path}"
    caller = caller_of(request)
    if caller is None:
        raise refuse("login-required", attempted=asked)
    if not caller.may(role):
        raise refuse("not-allowed", attempted=asked, on=f"role {role}")
    return caller


async def require_own(caller: Caller, sovereign: str, owner_of: OwnerOf) -> None:
    """Another's Sovereign is told from none by nothing."""
    if not caller.sees(await owner_of(sovereign)):
        raise refuse("unknown-sovereign", attempted="look at a Sovereign", on=sovereign)


def same_origin(request: web.Request, public_url: str) -> bool:
    """Whether a browser's call came from our own pages; scripts that name no origin are judged by their token."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
    allowed = {request.host}
    if public_url:
        allowed.add(urlsplit(public_url).netloc)
    return urlsplit(origin).netloc in allowed


async def _identify(request: web.Request, people: People, sessions: Sessions) -> Caller | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        account = await people.by_token(token.strip())
        if account is None:
            raise refuse("login-required", attempted=f"{request.method} {request.path}", message="Unknown API token.")
        return Caller(account)
    session = sessions.read(request.cookies.get(COOKIE, ""))
    if session is None:
        return None
    account = session.provided or await people.account(session.account)
    return Caller(account, session) if account else None


def middleware(people: People, sessions: Sessions, public_url: str) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Finds out who calls, and refuses a browser's command that did not come from our own page."""

    @web.middleware
    async def access(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/node/"):
            return await handler(request)  # nodes have tokens of their own kind
        caller = await _identify(request, people, sessions)
        if caller is not None:
            request[CALLER] = caller
        if request.method not in SAFE and (caller is None or caller.session is not None):
            token = request.headers.get(FORM_TOKEN, "")
            # Logging in anew is no command of the old session: only the origin counts there.
            session = caller.session if caller and request.path != "/api/v1/session" else None
            forged = session is not None and not sessions.form_token_holds(session, token)
            if forged or not same_origin(request, public_url):
                raise refuse("cross-origin", attempted=f"{request.method} {request.path}")
        return await handler(request)

    return access


def remote_of(request: web.Request, *, trusted_proxy: bool) -> str:
    """The caller's address; behind our own proxy, the one that it saw."""
    if trusted_proxy and "X-Forwarded-For" in request.headers:
        return request.headers["X-Forwarded-For"].rsplit(",", 1)[-1].strip()
    return request.remote or ""
