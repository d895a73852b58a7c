"""The seven steps: by visible labels, without loss, with everything that is wrong at once, and on to the run."""

import re
from typing import Final

import pytest
from playwright.async_api import Locator, Page, WebSocketRoute, expect

from catalyst.demo.play import Play
from catalyst.stack.stack import Stack
from tests.browser.conftest import SeatOf, shot

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

INTERACTIONS: Final = 40
READY_MS: Final = 240_000
"""From the request to the end, on a loaded machine."""


class Hand:
    """Does what a person does, by what a person reads, and counts it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.interactions = 0

    async def press(self, what: Locator) -> None:
        self.interactions += 1
        await what.click()

    async def button(self, name: str) -> None:
        await self.press(self.page.get_by_role("button", name=name, exact=True))

    async def write(self, label: str, text: str) -> None:
        self.interactions += 1
        await self.page.get_by_label(label, exact=True).locator("visible=true").fill(text)

    async def next_to(self, heading: str) -> None:
        await self.button("Next")
        await self.page.get_by_role("heading", name=re.compile(rf"\d\. {heading}")).wait_for()


async def begin(page: Page) -> Hand:
    hand = Hand(page)
    await hand.press(page.get_by_role("navigation").get_by_role("link", name="New Sovereign"))
    await page.locator("form[data-ready]").wait_for()
    return hand


async def test_the_seven_steps_by_visible_labels_lead_to_a_run_that_survives_refresh_and_cut(
    seat_of: SeatOf, stack: Stack, play: Play
) -> None:
    seat = await seat_of("operator")
    page = await seat.open("/sovereigns")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.headers} {request.post_data or ''}"))
    sockets: list[WebSocketRoute] = []
    await page.route_web_socket("**/ws", lambda socket: sockets.append(_passed_on(socket)))
    hand = await begin(page)
    await hand.write("Name", "Omantel")
    await hand.next_to("Topology")
    await expect(page.get_by_text("per month").first).to_be_visible()
    await hand.next_to("Provider")
    await hand.next_to("Credentials")
    await hand.write("Hetzner Cloud API token", stack.token)
    await expect(page.get_by_text("The token can read and write.")).to_be_visible()
    await expect(page.get_by_text("Your account pays what the catalogue says in fsn1 (sample prices).")).to_be_visible()
    await hand.write("SSH public key of the sovereign-admin", play.ssh_public_key)
    await shot(page, "wizard-4-credentials")
    await hand.next_to("Components")
    await hand.next_to("Domain")
    await hand.write("Name", "wizard")
    await expect(page.get_by_text("wizard.omani.works is free.")).to_be_visible()
    await hand.write("E-mail of the sovereign-admin", "sovereign-admin@example.org")
    await hand.next_to("Review")
    await expect(page.locator("#review")).to_contain_text("given; sealed and sent once")
    await expect(page.locator("#preflight")).to_contain_text("Nothing found that would stop the run.")
    bill = await page.locator("#review_bill .total").inner_text()
    await shot(page, "wizard-7-review")
    kept = await page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
    await hand.button("Provision")
    await page.wait_for_url("**/sovereigns/wizard_omani_works")
    assert hand.interactions <= INTERACTIONS
    assert stack.token not in kept
    assert not [request for request in sent if stack.token in request]

    await page.reload()
    await page.get_by_role("link", name="Log").click()
    await page.locator(".log p").first.wait_for()
    await sockets[-1].close()
    await expect(page.locator("#link")).to_contain_text("Connection lost, retrying")
    await page.locator(".log p", has_text="tofu.planned").wait_for()
    history = await play.history("wizard_omani_works")
    planned = next(item.sequence for item in history.recorded if item.event.type == "tofu.planned.v1")
    shown = await page.locator(".log p[id]").evaluate_all("(lines) => lines.map((line) => Number(line.id.slice(1)))")
    assert [number for number in shown if number <= planned] == [
        item.sequence for item in history.recorded if item.sequence <= planned
    ]

    await page.locator(".log p", has_text="helm-controller").first.wait_for()
    await page.get_by_role("link", name="Kit", exact=True).click()
    await expect(page.get_by_role("heading", name="Done: your Sovereign is ready")).to_be_visible(timeout=READY_MS)
    await shot(page, "run-ready")
    seen = await (await page.request.get(f"{seat.url}/api/v1/sovereigns/wizard_omani_works")).json()
    assert bill == f"€ {seen['cost']['monthly']} per month", "the wizard's bill is the plan's"


def _passed_on(socket: WebSocketRoute) -> WebSocketRoute:
    socket.connect_to_server()
    return socket


async def test_everything_wrong_is_told_at_once_and_a_colleague_goes_on_where_it_was_left(seat_of: SeatOf) -> None:
    operator = await seat_of("operator")
    page = await operator.open("/sovereigns")
    hand = await begin(page)
    await hand.write("Name", "Omantel <img src=x onerror=alert(1)>")
    await page.get_by_role("link", name="4. Credentials").click()
    await hand.write("Hetzner Cloud API token", "not-a-token")
    await expect(page.locator("#token_said")).to_contain_text("The token is not accepted")
    await hand.write("SSH public key of the sovereign-admin", "ssh-ed25519 nonsense")
    await hand.write("Addresses that may use SSH", "everywhere")
    await page.get_by_role("link", name="6. Domain").click()
    await hand.write("E-mail of the sovereign-admin", "nobody")
    await page.get_by_role("link", name="7. Review").click()
    await expect(page.locator("#errors h2")).to_have_text("4 fields to correct")
    await shot(page, "wizard-errors")
    await hand.button("Provision")
    await expect(page.locator("#said")).to_contain_text("Correct the fields above first.")

    colleague = await (await seat_of("colleague")).open("/sovereigns")
    await expect(colleague.get_by_role("heading", name="Being written")).to_be_visible()
    await shot(colleague, "drafts")
    await expect(colleague.get_by_role("link", name="Omantel <img src=x")).to_be_visible()
    await colleague.goto(page.url)
    await colleague.locator("form[data-ready]").wait_for()
    await expect(colleague.locator("#errors h2")).to_have_text("4 fields to correct")
    await colleague.get_by_role("link", name="Credentials", exact=True).first.click()
    await expect(colleague.get_by_label("Addresses that may use SSH")).to_have_value("everywhere")
    await expect(colleague.get_by_label("Hetzner Cloud API token")).to_have_value("")
    await colleague.get_by_label("Addresses that may use SSH").fill("203.0.113.7/32")
    await expect(colleague.locator("#kept")).to_contain_text("Draft kept")
    await colleague.go_back()
    await expect(colleague.locator("#errors h2")).to_have_text("3 fields to correct")

    await page.get_by_role("link", name="1. Organisation").click()
    await hand.write("Industry (optional)", "Telecommunications")
    await page.get_by_role("button", name="Load theirs").click()
    operator.forgive("/api/v1/drafts/")  # the refusal of the older revision
    await page.locator("form[data-ready]").wait_for()
    await expect(page.get_by_label("Name", exact=True).first).to_have_value("Omantel <img src=x onerror=alert(1)>")


async def test_a_registrars_credentials_are_tried_by_reading_alone(seat_of: SeatOf, play: Play) -> None:
    held = {
        "credentials": {"api_token": "held"},
        "domains": {"wizard.example.om": {"nameservers": ["ns1.former.example"]}},
    }
    await play.control("PUT", "/registrars/cloudflare", held)
    page = await (await seat_of("operator")).open("/sovereigns")
    hand = await begin(page)
    await page.get_by_role("link", name="6. Domain").click()
    await page.get_by_label("My own domain, by my registrar's API").check()
    await hand.write("Domain", "wizard.example.om")
    await page.get_by_label("Registrar", exact=True).select_option("cloudflare")
    said = page.locator("#registrar_said")
    await expect(page.get_by_label("ovh: consumer key")).to_be_hidden()
    for credentials, answer in (
        ("", "every part of its credentials"),
        ("of-somebody-else", "does not accept these credentials"),
        ("held", "The credentials open wizard.example.om."),
    ):
        await hand.write("cloudflare: API token", credentials)
        await hand.button("Check the credentials, read only")
        await expect(said).to_contain_text(answer)
    assert (await play.control("GET", "/registrars/cloudflare"))["writes"] == 0


async def test_what_a_choice_brings_along_stands_on_its_card_before_it_is_made(seat_of: SeatOf) -> None:
    page = await (await seat_of("operator")).open("/sovereigns")
    await begin(page)
    await page.get_by_role("link", name="5. Components").click()
    alloy, loki = (page.locator(f"[data-component=bp-{name}]") for name in ("alloy", "loki"))
    await expect(page.get_by_role("button", name="Selected velero")).to_have_attribute("aria-pressed", "true")
    title = alloy.get_by_role("heading").get_by_role("link")
    await expect(title).to_have_attribute("href", "/components/bp-alloy")
    await expect(alloy).to_contain_text("Also selects loki")
    await alloy.get_by_role("button", name="Select alloy").click()
    await expect(loki.get_by_role("button", name="Selected loki")).to_have_attribute("aria-pressed", "true")
    await expect(loki).to_contain_text("Also removes alloy")
    await expect(loki).to_contain_text("20 GiB disk")
    await shot(page, "wizard-5-components")
    await loki.get_by_role("button", name="Selected loki").click()
    await expect(alloy.get_by_role("button", name="Select alloy")).to_be_visible()
    await expect(page.locator("[data-component=bp-hcloud-csi]")).to_contain_text("To be added after hand-off")
    await page.get_by_role("group", name="Families").get_by_role("button", name="insights").click()
    await expect(page.locator("[data-component]")).to_have_count(3)
    await page.get_by_role("tab", name="Always included").click()
    await expect(page.locator("[data-component]")).to_have_count(12)


async def test_outside_a_secure_context_no_secret_is_taken(seat_of: SeatOf) -> None:
    seat = await seat_of("operator", insecure=True)
    page = await seat.open("/sovereigns/new/credentials")
    await page.locator("form[data-ready]").wait_for()
    await expect(page.get_by_label("Hetzner Cloud API token")).to_be_disabled()
    await expect(page.get_by_role("heading", name="No secret is taken here")).to_be_visible()
    await shot(page, "wizard-insecure")
    seat.forgive("Cross-Origin-Opener-Policy")  # such a page cannot have one, and the browser says so
