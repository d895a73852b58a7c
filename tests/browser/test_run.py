"""A run on the screen: the same for everybody who may see it, at any moment, and nothing for others."""

import json
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import expect

from bus.sign import verify
from bus.survey import survey
from catalyst.commands.bundling import verified
from catalyst.demo.play import Play
from contracts.proof import SignedProof
from contracts.questions import KeysReply
from tests.browser.conftest import CONNECTED, Ready, SeatOf, shot

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

TABS: Final = 10


async def consumers(play: Play) -> set[str]:
    """Whoever reads a stream now."""
    return {
        f"{row.name}/{consumer.name}" for row in await survey(play.operator.connection) for consumer in row.consumers
    }


async def test_ten_tabs_show_the_same_and_cause_no_consumer(seat_of: SeatOf, play: Play, ready: Ready) -> None:
    seat = await seat_of("operator")
    before = await consumers(play)
    pages = [await seat.open(f"{ready.path}/log") for _ in range(TABS)]
    for page in pages:
        await expect(page.locator("#link")).to_have_text(CONNECTED)
        await expect(page.locator("#word")).to_contain_text("Handed over")
    assert await consumers(play) <= before
    assert len({await page.locator("#sentence").inner_text() for page in pages}) == 1


async def test_a_viewer_looks_and_a_stranger_finds_nothing(seat_of: SeatOf, ready: Ready) -> None:
    page = await (await seat_of("viewer")).open(f"{ready.path}/decommission")
    await expect(page.get_by_text("Your role does not permit a decommission")).to_be_visible()
    await expect(page.get_by_role("link", name="New Sovereign")).to_have_count(0)

    page = await (await seat_of("stranger")).open("/sovereigns")
    await expect(page.get_by_text("No Sovereign yet.")).to_be_visible()
    answer = await page.request.get(ready.path)
    assert answer.status == 404
    assert "Omantel" not in await answer.text()


async def test_the_end_shows_addresses_the_sealed_first_password_and_what_is_to_be_done(
    seat_of: SeatOf, ready: Ready
) -> None:
    page = await (await seat_of("operator")).open(ready.path)
    for host in ("console", "gitea", "admin"):
        await expect(page.get_by_role("link", name=f"https://{host}.shown.omani.works").first).to_be_visible()
    await expect(page.locator("#first-login")).to_contain_text("BEGIN AGE ENCRYPTED FILE")
    await expect(page.locator("code", has_text="age --decrypt --identity")).to_be_visible()
    await page.locator("details[data-key=day1]").evaluate("list => { list.open = true; }")
    await expect(page.get_by_text("velero was not chosen: add it first")).to_be_visible()
    await shot(page, "run-first-login")


async def test_the_slider_shows_any_earlier_moment_by_the_servers_own_fold(seat_of: SeatOf, ready: Ready) -> None:
    page = await (await seat_of("operator")).open(f"{ready.path}/timeline")
    await expect(page.locator("#link")).to_have_text(CONNECTED)
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


async def test_the_support_bundle_is_one_file_that_verifies_and_the_issue_has_its_labels(
    seat_of: SeatOf, ready: Ready, tmp_path: Path
) -> None:
    page = await (await seat_of("viewer")).open(ready.path)
    await page.get_by_text("Support", exact=True).click()
    issue = await page.get_by_role("link", name="File an issue").get_attribute("href")
    assert parse_qs(urlsplit(issue or "").query)["labels"] == ["area/platform,kind/provisioning"]
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Get the support bundle").click()
    await (await download.value).save_as(tmp_path / "bundle.zip")
    keys = KeysReply.model_validate(await (await page.request.get(f"{ready.url}/api/v1/keys/gateway")).json())
    told = verified(tmp_path / "bundle.zip", keys.signing)
    assert (told.fqdn, told.made_for) == ("shown.omani.works", "viewer")


async def test_a_decommission_needs_the_name_typed_and_ends_with_a_proof(
    seat_of: SeatOf, play: Play, ready: Ready, tmp_path: Path
) -> None:
    seat = await seat_of("operator")
    page = await seat.open(f"{ready.path}/decommission")
    await page.get_by_label("I exported OpenBao's state, or do not need it").check()
    await page.get_by_label("Type shown.omani.works to confirm").fill("shown")
    await page.get_by_label("Cloud API token").fill(play.token)
    await page.get_by_role("button", name="Reprovision").click()
    await expect(page.locator("#part [role=alert]")).to_contain_text("What to do")
    seat.forgive("/reprovision")  # the refusal of half a name
    await page.get_by_label("Type shown.omani.works to confirm").fill("shown.omani.works")
    await page.get_by_role("button", name="Decommission").click()
    await expect(page.locator("#word")).to_contain_text("Decommissioned")
    await shot(page, "run-decommissioned")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download the signed proof").click()
    await (await download.value).save_as(tmp_path / "proof.json")
    signed = SignedProof.model_validate(json.loads((tmp_path / "proof.json").read_text()))
    assert signed.proof().sovereign == "shown_omani_works"
    keys = KeysReply.model_validate(await (await page.request.get(f"{seat.url}/api/v1/keys/tofu-runner")).json())
    verify(signed, keys.signing)
