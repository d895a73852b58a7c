"""A run on the screen, now and at any moment before."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Ready, SeatOf, shot

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]


async def test_the_slider_shows_any_earlier_moment_by_the_servers_own_fold(seat_of: SeatOf, ready: Ready) -> None:
    page = await (await seat_of("operator")).open(f"{ready.path}/timeline")
    await expect(page.locator("#link")).to_contain_text("Live")
    slider = page.get_by_label("Look at an earlier moment")
    await slider.press("Home")
    await expect(page.locator("#past")).to_contain_text("This is the past")
    await expect(page.locator("#word")).to_contain_text("Provisioning")
    await shot(page, "run-past")
    await page.get_by_role("button", name="Back to now").click()
    await expect(page.locator("#word")).to_contain_text("Handed over")


async def test_the_log_is_filtered_by_source_and_text_and_pauses(seat_of: SeatOf, ready: Ready) -> None:
    page = await (await seat_of("operator")).open(f"{ready.path}/log")
    await page.locator(".log p").first.wait_for()
    await page.get_by_label("Source").select_option("dns")
    await expect(page.locator(".log p:visible").first).to_contain_text("dns.")
    assert await page.locator(".log p:visible:not([data-source=dns])").count() == 0
    await page.keyboard.press("Escape")
    await page.get_by_label("Search the log").fill("delegated")
    await expect(page.locator(".log p:visible")).to_have_count(1)
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("Paused; 0 newer.")).to_be_visible()
