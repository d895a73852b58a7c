"""The console in Chromium: what a run page costs the browser that shows it.

The gateway is the real process on a real stream. The main thread's time is Chromium's own account of it (TaskDuration);
long tasks are those over 50 ms that the browser reports.
"""

import sys
from pathlib import Path

if not __package__:  # run as a file: this folder's names would hide the packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from playwright.async_api import CDPSession, Page, async_playwright

from bench._ground import about, fill, story
from bench._report import Figure, main, tell
from bench.relay import Relay, relay
from bus import connect
from contracts.account import LINKS_FOLDER, LoginLink, digest_of

EVENTS = 10_000
PER_S = 200
FOR_S = 5
REPEATS = 3
NUMBER = 7
_LINK = "bench"
_WAIT_MS = 120_000
_WATCH_TASKS = """
    window.long = [];
    new PerformanceObserver((list) => window.long.push(...list.getEntries().map((entry) => entry.duration)))
      .observe({ type: "longtask" });
"""
_SEQUENCE = "() => Number(document.querySelector('.log p[id]:last-of-type')?.id.slice(1) || 0)"


@dataclass
class Tab:
    """A page, and what the browser says of it."""

    page: Page
    session: CDPSession
    received: list[float] = field(default_factory=list)

    async def busy_s(self) -> float:
        """The main thread's time so far."""
        metrics = (await self.session.send("Performance.getMetrics"))["metrics"]
        return float(next(row["value"] for row in metrics if row["name"] == "TaskDuration"))

    async def reaches(self, sequence: int) -> None:
        """Wait until the log shows a fact of this number or a later one."""
        await self.page.wait_for_function(f"({_SEQUENCE})() >= {sequence}", timeout=_WAIT_MS)


@asynccontextmanager
async def tab(ours: Relay, folder: Path) -> AsyncIterator[Tab]:
    """A browser that is logged in."""
    program = os.environ.get("CATALYST_CHROMIUM")
    if not program:
        raise SystemExit("no Chromium: make setup-browser gets it")
    links = folder / LINKS_FOLDER
    await asyncio.to_thread(links.mkdir, exist_ok=True)
    link = LoginLink(account="bench", not_after=datetime.now(UTC) + timedelta(minutes=5))
    await asyncio.to_thread((links / f"{digest_of(_LINK)}.json").write_text, link.model_dump_json())
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = await (await browser.new_context()).new_page()
        page.set_default_timeout(_WAIT_MS)
        await page.goto(f"http://127.0.0.1:{ours.port}/login/once#t={_LINK}")
        await page.wait_for_url("**/sovereigns")
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")
        await session.send("Network.enable")
        shown = Tab(page, session)
        session.on("Network.loadingFinished", lambda row: shown.received.append(row["encodedDataLength"]))
        await page.add_init_script(_WATCH_TASKS)
        yield shown
        await browser.close()


async def measure(folder: Path) -> list[Figure]:
    """One gateway, one Sovereign with a long past, one tab."""
    async with relay(folder / "console", NUMBER) as ours, tab(ours, folder / "console") as shown:
        url = f"http://127.0.0.1:{ours.port}/sovereigns"
        paints = []
        for _ in range(REPEATS):
            await shown.page.goto(f"{url}/{ours.sovereign}/log")
            await shown.page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
            paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            paints.append(float(await shown.page.evaluate(paint)))
        await shown.session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        shown.received.clear()
        for path in ("", f"/{ours.sovereign}", "/new"):
            await shown.page.goto(url + path, wait_until="networkidle" if path == "/new" else "load")
        received = sum(shown.received) / 1024
        async with connect(ours.server.settings("admin"), "admin") as admin:
            tell(f"storing {EVENTS:,} facts")
            await fill(admin, story(about(NUMBER), EVENTS))
            newest = await admin.journal.last_sequence()
            applied = []
            for _ in range(REPEATS):
                before = await shown.busy_s()
                await shown.page.goto(f"{url}/{ours.sovereign}/log")
                await shown.reaches(newest)
                after = await shown.busy_s()
                applied.append(after - before if after > before else after)
            tell(f"{PER_S} facts a second")
            await shown.page.evaluate("window.long.length = 0")
            facts = story(about(NUMBER), PER_S * FOR_S)
            started = time.monotonic()
            for number in range(FOR_S * 10):
                await fill(admin, itertools.islice(facts, PER_S // 10))
                await asyncio.sleep(max(0.0, started + (number + 1) / 10 - time.monotonic()))
            await shown.reaches(await admin.journal.last_sequence())
            long: list[float] = await shown.page.evaluate("window.long")
    return [
        Figure.of("first paint of a run page", paints, unit="ms", goal=500),
        Figure(
            name="transfer: list, run page and wizard",
            value=received,
            unit="KiB",
            goal=150,
            note="compressed, no cache",
        ),
        Figure.of(f"{EVENTS:,} facts applied", applied, unit="s of the main thread", goal=1, note="the whole load"),
        Figure(name=f"longest task at {PER_S} facts/s", value=max(long, default=0.0), unit="ms", goal=50),
    ]


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="catalyst-bench-") as place:
        return await measure(Path(place))


if __name__ == "__main__":
    main("The console", lambda: asyncio.run(_measure()))
