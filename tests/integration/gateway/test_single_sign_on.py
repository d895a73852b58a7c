"""Logging in by a real OpenID Connect provider (oidc-provider in Node) on loopback."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
import pytest

from bus.server import free_port
from tests.integration.gateway.conftest import Edge, EdgeOf
from tests.unit.gateway import story

HERE = Path(__file__).parent


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address instead of a name
    headers = {"Accept": "text/html"}
    async with aiohttp.ClientSession(cookie_jar=jar, headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as own:
        yield own


@pytest.fixture
async def edge(edge_of: EdgeOf, tmp_path: Path) -> AsyncIterator[Edge]:
    """A gateway whose people log in by the provider; the names of the roles are the provider's."""
    port = free_port()
    library = os.environ.get("CATALYST_OIDC_PROVIDER")
    assert library, "no OpenID Connect provider: make setup-test gets it"
    secret = tmp_path / "oidc.secret"
    secret.write_text("a client's secret\n")
    back = f"http://127.0.0.1:{port}/login/provider/back"
    program = [os.environ["CATALYST_NODE"], str(HERE / "provider.mjs"), library, back]
    provider = await asyncio.create_subprocess_exec(
        *program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert provider.stdout is not None
        async with asyncio.timeout(60):
            issuer = (await provider.stdout.readline()).decode().split()[1]
        yield await edge_of(
            port=port,
            oidc_issuer=issuer,
            oidc_label="Example ID",
            oidc_client_id="catalyst",
            oidc_client_secret_file=secret,
            oidc_roles={"sovereign-operators": "operator", "sovereign-viewers": "viewer"},
        )
    finally:
        provider.terminate()
        await provider.wait()


async def at_the_provider(edge: Edge, browser: aiohttp.ClientSession, name: str, *, page: str = "") -> str:
    """Log in at the provider, by its forms; the address that it sends the browser back to."""
    response = await browser.get(f"{edge.url}/login/provider", params={"next": page}, allow_redirects=False)
    address = response.headers["Location"]
    for _ in range(12):
        if urlsplit(address).path == "/login/provider/back":
            return address
        response = await browser.get(address, allow_redirects=False)
        while response.status == 200:  # a form: who one is, then what the client may know
            form = await response.text()
            action = re.search(r'action="([^"]+)"', form)
            prompt = re.search(r'name="prompt" value="([^"]+)"', form)
            assert action, form
            assert prompt, form
            typed = {"prompt": prompt[1], **({"login": name, "password": "any"} if prompt[1] == "login" else {})}
            response = await browser.post(urljoin(address, unescape(action[1])), data=typed, allow_redirects=False)
        address = urljoin(address, response.headers["Location"])
    raise AssertionError(f"the provider leads nowhere: {address}")


async def test_the_provider_tells_organisation_and_roles_and_the_login_goes_on_to_the_page_that_was_wanted(
    edge: Edge, browser: aiohttp.ClientSession
) -> None:
    await edge.say(story.requested())
    login = await (await browser.get(f"{edge.url}/login?next=/sovereigns/{story.ID}")).text()
    assert "Log in with Example ID" in login
    assert "Password" in login, "local accounts stay"
    away = await browser.get(f"{edge.url}/login/provider", allow_redirects=False)
    asked = parse_qs(urlsplit(away.headers["Location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    back = await at_the_provider(edge, browser, "grace", page=f"/sovereigns/{story.ID}")
    arrived = await browser.get(back)
    assert f'content="0; url=/sovereigns/{story.ID}"' in await arrived.text()
    assert "SameSite=Strict" in arrived.headers.getall("Set-Cookie")[0]
    session = await (await browser.get(f"{edge.url}/api/v1/session")).json()
    assert session == {"name": "grace", "owner": "demo", "roles": ["operator"]}
    page = await browser.get(f"{edge.url}/sovereigns/{story.ID}")
    assert (page.status, "New Sovereign" in await page.text()) == (200, True)


async def test_a_name_that_a_local_account_has_or_that_is_an_address_becomes_a_pseudonym(
    edge: Edge, browser: aiohttp.ClientSession
) -> None:
    for name in ("ada", "heidi"):
        browser.cookie_jar.clear()
        assert (await browser.get(await at_the_provider(edge, browser, name))).status == 200
        session = await (await browser.get(f"{edge.url}/api/v1/session")).json()
        assert re.fullmatch("sso-[0-9a-f]{16}", session["name"])
        assert (session["owner"], session["roles"]) == ("demo", ["viewer"])


async def test_an_answer_of_another_login_a_second_time_or_without_our_roles_opens_nothing(
    edge: Edge, browser: aiohttp.ClientSession
) -> None:
    back = await at_the_provider(edge, browser, "grace")
    forged = re.sub("state=[^&]+", "state=forged", back)
    mixed_up = re.sub("&iss=[^&]+", "&iss=https://evil.example", back)
    unnamed = re.sub("&iss=[^&]+", "", back)
    denied = f"{edge.url}/login/provider/back?error=access_denied&{urlsplit(back).query.partition('&')[2]}"
    for address in (forged, mixed_up, unnamed, denied):
        refused = await browser.get(address)
        assert (refused.status, "What to do" in await refused.text()) == (401, True), address
    async with aiohttp.ClientSession() as stranger:
        answer = await stranger.get(back)
        assert (answer.status, (await answer.json())["code"]) == (401, "login-refused")
    assert (await browser.get(back)).status == 200
    assert (await browser.get(back)).status == 401, "the attempt was used up"
    browser.cookie_jar.clear()
    without = await browser.get(await at_the_provider(edge, browser, "nobody"))
    assert (without.status, "none of our roles" in await without.text()) == (403, True)
    assert (await browser.get(f"{edge.url}/api/v1/session")).status == 401


async def test_a_silent_provider_is_named_and_local_accounts_go_on(
    edge_of: EdgeOf, browser: aiohttp.ClientSession
) -> None:
    silent = f"http://127.0.0.1:{free_port()}"
    edge = await edge_of(oidc_issuer=silent, oidc_client_id="catalyst")
    refused = await browser.get(f"{edge.url}/login/provider", allow_redirects=False)
    assert refused.status == 503
    assert "a local account logs in without it" in await refused.text()
    body = {"name": "ada", "password": "correct horse battery staple"}
    assert (await browser.post(f"{edge.url}/api/v1/session", json=body, headers={"Origin": edge.url})).status == 201
    nowhere = await browser.get(f"{edge.url}/sovereigns/new/nothing")
    assert (nowhere.status, "There is no such page" in await nowhere.text()) == (404, True)
    assert (await browser.get(f"{edge.url}/favicon.ico")).content_type == "image/svg+xml"
