"""The console's pages: a shell of HTML that works at once, one script and one style per page, nothing from elsewhere.

Templates and files are read into memory at start, so a request never touches the disk. The content security policy
allows our own files only: no inline script or style, no frame, no other origin.
"""

import gzip
import hashlib
import ipaddress
import json
import mimetypes
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from contracts.request import REGISTRAR_PARTS
from gateway.access import OwnerOf, caller_of, remote_of, require, require_own
from gateway.hub import Hub
from gateway.problems import Problem, document, refuse
from gateway.reads import Summaries, rows_for, usual_seconds
from gateway.sessions import Sessions

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_COMPRESS_FROM: Final = 1024
_FOR_PROGRAMS: Final = ("/api/", "/static/", "/node/", "/ws")
"""What is asked for below these is never a page."""
STEPS: Final = frozenset({"organisation", "topology", "provider", "credentials", "components", "domain", "review"})
TABS: Final = frozenset({"kit", "resources", "node", "dns", "log", "timeline", "decommission"})


@dataclass(frozen=True)
class _File:
    body: bytes
    packed: bytes
    content_type: str
    tag: str


@dataclass(frozen=True)
class Pages:
    """What the pages stand on."""

    hub: Hub
    sessions: Sessions
    summaries: Summaries
    owner_of: OwnerOf
    sandbox: bool
    trusted_proxy: bool
    provider: str
    """What people call the provider that they log in by; empty: there is none."""
    _environment: Environment = field(init=False)
    _files: dict[str, _File] = field(init=False)

    def __post_init__(self) -> None:
        """Read everything once."""
        environment = Environment(
            loader=PackageLoader("gateway"),
            autoescape=select_autoescape(),
            undefined=StrictUndefined,
            auto_reload=False,
        )
        for name in environment.list_templates():
            environment.get_template(name)
        object.__setattr__(self, "_environment", environment)
        object.__setattr__(self, "_files", _read_static())

    def routes(self) -> list[web.RouteDef]:
        """Every page has a URL of its own."""
        return [
            web.get("/", self.home),
            web.get("/login", self.login),
            web.get("/login/once", self.login_once),
            web.get("/sovereigns", self._page(self.sovereigns)),
            web.get("/sovereigns/new", self._page(self.new)),
            web.get("/sovereigns/new/{step}", self._page(self.new)),
            web.get("/sovereigns/{sovereign}", self._page(self.run)),
            web.get("/sovereigns/{sovereign}/{tab}", self._page(self.run)),
            web.get("/health", self._page(self.health)),
            web.get("/components", self._page(self.components)),
            web.get("/components/{name}", self._page(self.components)),
            web.get("/static/{name}", self.static),
            web.get("/favicon.ico", self.favicon),
        ]

    async def home(self, _request: web.Request) -> web.Response:
        """The list is home."""
        raise web.HTTPFound("/sovereigns")

    async def login(self, request: web.Request) -> web.Response:
        """By name and password, or by the organisation's provider."""
        return self._render(request, "login.html", provider=self.provider, next=request.query.get("next", ""))

    async def login_once(self, request: web.Request) -> web.Response:
        """By link: its token is in the fragment, the page's script posts it."""
        return self._render(request, "once.html")

    def _page(
        self, show: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def page(request: web.Request) -> web.Response:
            if caller_of(request) is None:
                raise web.HTTPFound("/login" if request.path == "/sovereigns" else f"/login?next={request.path}")
            return await show(request)

        return page

    async def sovereigns(self, request: web.Request) -> web.Response:
        """The list, which tells at a glance whether anything is wrong."""
        caller = caller_of(request)
        rows = await rows_for(caller, self.summaries, self.hub) if caller else []
        return self._render(request, "sovereigns.html", rows=rows)

    async def new(self, request: web.Request) -> web.Response:
        """The seven steps; each says what is still needed."""
        address = _address_of(request, trusted_proxy=self.trusted_proxy)
        cidr = f"{address}/{address.max_prefixlen}" if address is not None and address.is_global else ""
        step = request.match_info.get("step", "organisation")
        if step not in STEPS:
            raise refuse("no-such-page", attempted=f"GET {request.path}")
        return self._render(
            request,
            "new.html",
            step=step,
            caller_address=str(address or "unknown"),
            caller_cidr=cidr,
            registrars=REGISTRAR_PARTS,
        )

    async def run(self, request: web.Request) -> web.Response:
        """A run: what it is doing, how long yet, and whether somebody has to act."""
        caller = caller_of(request)
        sovereign, tab = request.match_info["sovereign"], request.match_info.get("tab", "kit")
        if tab not in TABS:
            raise refuse("no-such-page", attempted=f"GET {request.path}")
        if caller is not None:
            await require_own(caller, sovereign, self.owner_of)
        view = (await self.hub.channel(sovereign)).view()
        usual = await usual_seconds(caller, self.summaries, self.hub, but=sovereign) if caller else {}
        return self._render(request, "run.html", view=view, tab=tab, usual=usual)

    async def health(self, request: web.Request) -> web.Response:
        """Whether the services themselves are well."""
        require(request, "operator")
        return self._render(request, "health.html")

    async def components(self, request: web.Request) -> web.Response:
        """A family of the catalogue, or one component of it; the page asks the catalogue."""
        return self._render(request, "components.html", name=request.match_info.get("name", ""))

    async def favicon(self, _request: web.Request) -> web.Response:
        """Where a browser looks for it whatever the page says."""
        raise web.HTTPMovedPermanently("/static/mark.svg")

    def lead_on(self, request: web.Request, page: str) -> web.Response:
        """A page that leads on to another of ours by itself."""
        return self._render(request, "lead_on.html", page=page)

    def problem(self, request: web.Request, problem: Problem) -> web.Response | None:
        """A refusal as a page, where a person asked for a page."""
        if "text/html" not in request.headers.get("Accept", "") or request.path.startswith(_FOR_PROGRAMS):
            return None
        body = document(problem.trouble, problem.errors)
        page = self._render(request, "problem.html", problem=body)
        page.set_status(body.status)
        return page

    async def static(self, request: web.Request) -> web.Response:
        """Our scripts and styles."""
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        headers = {"ETag": found.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("If-None-Match") == found.tag:
            return web.Response(status=304, headers=headers)
        if len(found.body) >= _COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=found.packed, content_type=found.content_type, headers=headers)
        return web.Response(body=found.body, content_type=found.content_type, headers=headers, charset="utf-8")

    def _render(self, request: web.Request, template: str, **context: Any) -> web.Response:
        caller = caller_of(request)
        session = caller.session if caller else None
        page = self._environment.get_template(template).render(
            caller=caller.account if caller else None,
            form_token=self.sessions.form_token(session) if session else "",
            sandbox=self.sandbox,
            may_operate=caller.may("operator") if caller else False,
            may_approve=caller.may("approver") if caller else False,
            path=request.path,
            **context,
        )
        return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})


@web.middleware
async def security_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """On everything, before the first byte goes out."""
    response = await handler(request)
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response


def _address_of(request: web.Request, *, trusted_proxy: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Where the caller comes from, to offer it as the address that may use SSH; None when it is no IP address."""
    try:
        return ipaddress.ip_address(remote_of(request, trusted_proxy=trusted_proxy))
    except ValueError:
        return None


def _read_static() -> dict[str, _File]:
    found = {}
    for item in files("gateway").joinpath("static").iterdir():
        body = item.read_bytes()
        kind = mimetypes.guess_type(item.name)[0] or "application/octet-stream"
        if item.name.endswith(".js"):
            kind = "text/javascript"
        tag = json.dumps(hashlib.sha256(body).hexdigest()[:20])
        found[item.name] = _File(body, gzip.compress(body, 9, mtime=0), kind, tag)
    return found
