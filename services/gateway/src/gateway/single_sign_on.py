"""Log in by the organisation's OpenID Connect provider: away, back, and in.

What has to be remembered meanwhile stands in a signed cookie that only these two addresses get. The session's cookie is
not sent along a navigation that began at another site, so the last step is a page of our own that leads on.
"""

from dataclasses import asdict, dataclass
from typing import Final

from aiohttp import web

from gateway.access import remote_of
from gateway.accounts import People
from gateway.claims import Reading, pseudonym
from gateway.limits import Limit
from gateway.openid import Attempt, Provider, refused
from gateway.pages import Pages
from gateway.sessions import Sessions
from gateway.settings import Settings

PATH: Final = "/login/provider"
BACK: Final = f"{PATH}/back"
ATTEMPT_COOKIE: Final = "catalyst_login"
ATTEMPT_S: Final = 600
"""How long somebody may take at the provider."""
_PURPOSE: Final = "login"
HOME: Final = "/sovereigns"


@dataclass(frozen=True)
class SingleSignOn:
    """What the routes stand on."""

    provider: Provider
    reading: Reading
    people: People
    sessions: Sessions
    pages: Pages
    limit: Limit
    settings: Settings

    def routes(self) -> list[web.RouteDef]:
        """Away and back."""
        return [web.get(PATH, self.leave), web.get(BACK, self.back)]

    async def leave(self, request: web.Request) -> web.Response:
        """To the provider."""
        caller = remote_of(request, trusted_proxy=self.settings.trusted_proxy)
        self.limit.take(caller, attempted="log in")
        url, attempt = await self.provider.begin()
        remembered = {**asdict(attempt), "next": own_page(request.query.get("next", ""))}
        away = web.HTTPFound(url)
        away.set_cookie(
            ATTEMPT_COOKIE,
            self.sessions.write(_PURPOSE, remembered, lasts_s=ATTEMPT_S),
            max_age=ATTEMPT_S,
            httponly=True,
            samesite="Lax",
            secure=self._secure,
            path=PATH,
        )
        raise away

    async def back(self, request: web.Request) -> web.Response:
        """From the provider, with a code or a refusal."""
        remembered = self.sessions.read_signed(_PURPOSE, request.cookies.get(ATTEMPT_COOKIE, ""))
        if remembered is None:
            raise refused("This login was not begun in this browser, or too long ago.")
        attempt = Attempt(*(str(remembered[name]) for name in ("state", "nonce", "verifier")))
        claims = await self.provider.finish(attempt, request.query)
        account = self.reading.account(claims)
        if await self.people.account(account.name) is not None:
            account = account.model_copy(update={"name": pseudonym(claims)})
        response = self.pages.lead_on(request, own_page(str(remembered["next"])))
        session = self.sessions.begin_provided(account, hours=self.settings.oidc_session_hours)
        self.sessions.put(response, session, secure=self._secure)
        response.del_cookie(ATTEMPT_COOKIE, path=PATH)
        return response

    @property
    def _secure(self) -> bool:
        return self.settings.public_url.startswith("https:")


def own_page(given: str) -> str:
    """A path of ours to go on to; whatever else was asked for is the list."""
    inside = given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable()
    return given if inside else HOME
