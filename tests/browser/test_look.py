"""Each page for everybody: accessibility rules, keyboard, phone, dark and light."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser.conftest import CONNECTED, Ready, SeatOf, shot

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

STEPS: Final = ("organisation", "topology", "provider", "credentials", "components", "domain", "review")
TABS: Final = ("kit", "resources", "node", "dns", "log", "timeline", "decommission")
PHONE: Final[ViewportSize] = {"width": 375, "height": 720}
DESK: Final[ViewportSize] = {"width": 1280, "height": 800}
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


async def judged(page: Page, rules: Sequence[str]) -> list[str]:
    """What axe-core finds wrong, with the place of each finding."""
    source = await asyncio.to_thread(Path(os.environ["CATALYST_AXE"]).read_text)
    await page.evaluate(f"() => {{ {source} }}")
    found: dict[str, Any] = await page.evaluate("(rules) => axe.run(document, { runOnly: rules })", rules)
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


async def settled(page: Page) -> None:
    if await page.locator("#product, #health").count():
        await page.locator("#product :is(dl, article), #health table").first.wait_for()
    if "/new" in page.url:
        await page.locator("form[data-ready]").wait_for()
    elif await page.locator("#link").count():
        await expect(page.locator("#link")).not_to_have_text("Connecting.")


async def test_no_page_breaks_a_rule_of_accessibility_in_light_or_dark_or_is_wider_than_a_phone(
    seat_of: SeatOf, asked: str
) -> None:
    seat = await seat_of("operator")
    page = await seat.open("/sovereigns")
    more = ("/health", "/components", "/components?family=spine", "/components/bp-cilium", "/nowhere")
    paths = ["/login", "/sovereigns", *more, *(f"/sovereigns/new/{step}" for step in STEPS)]
    wrong: dict[str, list[str]] = {}
    for path in [*paths, *(f"/sovereigns/{asked}/{tab}" for tab in TABS)]:
        await page.goto(path)
        await settled(page)
        found = await judged(page, RULES)
        await page.emulate_media(color_scheme="dark")
        found += await judged(page, ("color-contrast",))
        await page.set_viewport_size(PHONE)
        if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append("wider than the screen")
        await shot(page, f"dark-phone-{path.strip('/').replace('/', '-')}")
        await page.set_viewport_size(DESK)
        await page.emulate_media(color_scheme="light")
        if found:
            wrong[path] = found
    seat.forgive("/nowhere")  # a page that is not there is noted by the browser as well
    assert wrong == {}


async def test_the_keyboard_alone_reaches_everything(seat_of: SeatOf, ready: Ready) -> None:
    page = await (await seat_of("operator")).open("/sovereigns")
    keys = page.keyboard
    await page.locator("#list tbody tr").first.wait_for()
    await keys.press("/")
    await expect(page.get_by_label("Search", exact=True)).to_be_focused()
    await keys.type("shown")
    await expect(page.locator("#list tbody tr")).to_have_count(1)
    await keys.press("Tab")
    await keys.press("j")
    await expect(page.get_by_role("link", name="shown.omani.works")).to_be_focused()
    await keys.press("Enter")
    await page.wait_for_url(f"**{ready.path}")
    await expect(page.locator("#link")).to_have_text(CONNECTED)
    await keys.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await keys.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await keys.press("g")
    await keys.press("s")
    await page.wait_for_url("**/sovereigns")
    await page.locator("#list tbody tr").first.wait_for()
    await keys.press("n")
    await page.locator("form[data-ready]").wait_for()
    await keys.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await keys.press("Enter")
    name = page.locator("[id='organisation.name']")
    for _ in range(len(STEPS) + 1):
        await keys.press("Tab")
    await expect(name).to_be_focused()
    await keys.type("By keyboard")
    await keys.press("Enter")
    await expect(page.get_by_role("heading", name="2. Topology")).to_be_focused()
