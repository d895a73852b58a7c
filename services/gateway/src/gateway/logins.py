"""Logging in and out: by name and password, by a link that works once, and out again.

The link's token stands in the URL's fragment, which browsers never send; the page posts it. A failed login says
nothing about whether the name exists.
"""

from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from contracts.account import Account
from gateway.access import remote_of, require, same_origin
from gateway.accounts import People
from gateway.api import json_object
from gateway.limits import Limit
from gateway.problems import refuse
from gateway.sessions import COOKIE, Sessions


@dataclass(frozen=True)
class Logins:
    """What the routes stand on."""

    people: People
    sessions: Sessions
    limit: Limit
    public_url: str
    trusted_proxy: bool

    def routes(self) -> list[web.RouteDef]:
        """Two ways in, one out, and who one is."""
        return [
            web.post("/api/v1/session", self.begin),
            web.delete("/api/v1/session", self.end),
            web.get("/api/v1/session", self.show),
        ]

    async def begin(self, request: web.Request) -> web.Response:
        """With ``{"name", "password"}`` or ``{"link"}``."""
        self.limit.take(remote_of(request, trusted_proxy=self.trusted_proxy), attempted="log in")
        if not same_origin(request, self.public_url):
            raise refuse("cross-origin", attempted="log in")
        given = await json_object(request)
        link, name, password = given.get("link"), given.get("name"), given.get("password")
        account: Account | None = None
        if isinstance(link, str):
            account = await self.people.by_link(link)
        elif isinstance(name, str) and isinstance(password, str):
            account = await self.people.by_password(name, password)
        if account is None:
            raise refuse("login-failed", attempted="log in", on="session")
        response = web.json_response(_who(account), status=HTTPStatus.CREATED, headers={"Cache-Control": "no-store"})
        secure = self.public_url.startswith("https:")
        self.sessions.put(response, self.sessions.begin(account.name), secure=secure)
        return response

    async def end(self, _request: web.Request) -> web.Response:
        """Forget the cookie."""
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        response.del_cookie(COOKIE, path="/")
        return response

    async def show(self, request: web.Request) -> web.Response:
        """Who the caller is."""
        return web.json_response(_who(require(request, "viewer").account), headers={"Cache-Control": "no-store"})


def _who(account: Account) -> dict[str, object]:
    return {"name": account.name, "owner": account.owner, "roles": list(account.roles)}
