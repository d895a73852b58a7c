"""One running stack and one Chromium for all browser tests.

Each test opens pages as somebody: a browser context of its own, logged in by a link that works once. A message on the
console or an uncaught error in any page fails the test that opened it. Screenshots of what a test looked at are kept
below ``.run/screenshots``.
"""

import os
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from catalyst.accounts import AccountsFolder, login_url
from catalyst.demo.play import OWNER, Play, playing
from catalyst.stack.stack import Options, Stack
from catalyst.stack.tools import CHECKOUT
from contracts.account import AccountRole
from contracts.sovereign import SovereignHandedOver

SCREENSHOTS: Final = CHECKOUT / ".run" / "screenshots"
WAIT_MS: Final = 60_000
"""How long a page may take to show what it promises, on a loaded machine."""

CONNECTED: Final = re.compile("^(Live|Nothing new since)")
"""What a page says while its socket is open: of the newest fact, or of the heartbeats after it."""

INSECURE_HOST: Final = "plain.example"
"""Leads to loopback, but is no name of it: what a browser sees there is no secure context."""

PEOPLE: Final[dict[str, tuple[str, tuple[AccountRole, ...]]]] = {
    "operator": (OWNER, ("viewer", "operator", "approver")),
    "colleague": (OWNER, ("viewer", "operator")),
    "viewer": (OWNER, ("viewer",)),
    "stranger": ("another", ("viewer", "operator", "approver")),
}


@dataclass
class Seat:
    """Somebody before a browser of their own."""

    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)
    """What the browser said on its console, and errors that no script caught."""

    async def open(self, path: str) -> Page:
        """A new page, watched for complaints."""
        page = await self.context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        await page.goto(self.url + path)
        return page

    def forgive(self, words: str) -> None:
        """Complaints that the test itself brought about: a refusal it wanted is noted by the browser as well."""
        self.complaints[:] = [line for line in self.complaints if words not in line]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.location.get('url')}: {message.text}")


@dataclass(frozen=True)
class Ready:
    """A Sovereign that stands, asked for when the stack came up."""

    url: str
    path: str = "/sovereigns/shown_omani_works"


SeatOf = Callable[..., Awaitable[Seat]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """The whole of Catalyst Zero on the sandbox, shared: each test takes Sovereigns of its own names."""
    # A short path: the sockets below it have a limit on their names.
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        async with Stack(Options(Path(folder))) as running:
            accounts = AccountsFolder(running.accounts_dir)
            for name, (owner, roles) in PEOPLE.items():
                accounts.put(name, owner=owner, roles=roles)
            yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def play(stack: Stack) -> AsyncIterator[Play]:
    """An outsider who asks for Sovereigns without a browser, and reads the stream."""
    async with playing(stack, lambda _line: None, project="browser") as hand:
        yield hand


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def asked(play: Play) -> str:
    """It comes up beside the tests that need none. Its organisation would be markup anywhere that forgets to escape."""
    return await play.request(play.name("shown"), organisation={"name": "Omantel <script>alert(1)</script>"})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ready(stack: Stack, play: Play, asked: str) -> Ready:
    """When it was handed over."""
    await play.until(asked, SovereignHandedOver)
    return Ready(stack.console_url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser that the tool box found."""
    program = os.environ.get("CATALYST_CHROMIUM")
    if not program:
        pytest.fail("no Chromium: make test-browser gets it, make test BROWSER=0 leaves it out")
    expect.set_options(timeout=WAIT_MS)
    async with async_playwright() as driver:
        # The pages are our own and the tests may run as root, where Chromium's sandbox does not start.
        flags = ["--no-sandbox", f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1"]
        environment = {**os.environ, **_fonts(Path(program))}
        browser = await driver.chromium.launch(executable_path=program, args=flags, env=environment)
        yield browser
        await browser.close()


def _fonts(program: Path) -> dict[str, str | float | bool]:
    """A system without fonts of its own uses those that came with the browser."""
    if Path("/etc/fonts/fonts.conf").exists():
        return {}
    return {"FONTCONFIG_SYSROOT": str(program.parent)}


@pytest_asyncio.fixture(loop_scope="session")
async def seat_of(chromium: Browser, stack: Stack) -> AsyncIterator[SeatOf]:
    """``seat = await seat_of("operator", viewport=…)``: logged in; complaints fail the test at its end."""
    async with AsyncExitStack() as seats:

        async def seated(name: str, *, insecure: bool = False, **options: Any) -> Seat:
            url = stack.console_url.replace("127.0.0.1", INSECURE_HOST) if insecure else stack.console_url
            seat = Seat(await chromium.new_context(base_url=url, **options), url)
            return await seats.enter_async_context(_seated(seat, AccountsFolder(stack.accounts_dir).link(name)))

        yield seated


@asynccontextmanager
async def _seated(seat: Seat, link: str) -> AsyncIterator[Seat]:
    try:
        page = await seat.open(login_url("", link))
        await page.wait_for_url("**/sovereigns")
        await page.close()
        yield seat
    finally:
        await seat.context.close()
    assert seat.complaints == [], "the browser complained"


async def shot(page: Page, name: str) -> None:
    """Keep what the page looks like."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
