import re

import aiohttp
import pytest

from tests.integration.gateway.conftest import Edge, EdgeOf, until
from tests.unit.gateway import story

PASSWORD = "correct horse battery staple"


async def log_in(edge: Edge, browser: aiohttp.ClientSession, body: dict[str, str]) -> aiohttp.ClientResponse:
    return await browser.post(f"{edge.url}/api/v1/session", json=body, headers={"Origin": edge.url})


@pytest.fixture
async def browser() -> aiohttp.ClientSession:  # type: ignore[misc]  # pytest turns the generator into its value
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address instead of a name
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def form_token(edge: Edge, browser: aiohttp.ClientSession) -> str:
    page = await (await browser.get(f"{edge.url}/sovereigns")).text()
    found = re.search(r'name="form-token" content="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


async def test_a_login_by_password_opens_the_pages_and_a_wrong_one_says_nothing_about_names(
    edge_of: EdgeOf, browser: aiohttp.ClientSession
) -> None:
    edge = await edge_of()
    wrong = await log_in(edge, browser, {"name": "ada", "password": "guess"})
    nobody = await log_in(edge, browser, {"name": "nobody", "password": "guess"})
    assert (wrong.status, await wrong.text()) == (nobody.status, await nobody.text())
    response = await log_in(edge, browser, {"name": "ada", "password": PASSWORD})
    assert response.status == 201
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "New Sovereign" in await (await browser.get(f"{edge.url}/sovereigns")).text()


async def test_logging_in_anew_needs_no_token_of_the_old_session_but_our_own_origin(
    edge_of: EdgeOf, browser: aiohttp.ClientSession
) -> None:
    edge = await edge_of()
    ada = {"name": "ada", "password": PASSWORD}
    assert (await log_in(edge, browser, ada)).status == 201
    assert (await log_in(edge, browser, ada)).status == 201
    elsewhere = await browser.post(f"{edge.url}/api/v1/session", json=ada, headers={"Origin": "https://evil.example"})
    assert (elsewhere.status, (await elsewhere.json())["code"]) == (403, "cross-origin")


async def test_a_login_link_works_once(edge_of: EdgeOf, browser: aiohttp.ClientSession) -> None:
    edge = await edge_of()
    assert (await log_in(edge, browser, {"link": "once-only"})).status == 201
    assert (await log_in(edge, browser, {"link": "once-only"})).status == 401
    assert (await log_in(edge, browser, {"link": "../accounts"})).status == 401


async def test_a_command_needs_the_token_of_the_page_and_our_own_origin(
    edge_of: EdgeOf, browser: aiohttp.ClientSession
) -> None:
    edge = await edge_of()
    await edge.say(story.requested())
    await log_in(edge, browser, {"name": "ada", "password": PASSWORD})
    token = await form_token(edge, browser)
    path = f"{edge.url}/api/v1/sovereigns/{story.ID}/cancel"
    ours = {"Origin": edge.url, "X-Form-Token": token}
    assert (await browser.post(path, json={}, headers=ours)).status == 503  # it gets through; nobody answers here
    for headers in (
        {"Origin": edge.url},
        {"Origin": edge.url, "X-Form-Token": "0" * 64},
        {"Origin": "https://evil.example", "X-Form-Token": token},
        {"Origin": "null", "X-Form-Token": token},
        {"Sec-Fetch-Site": "cross-site", "X-Form-Token": token},
    ):
        response = await browser.post(path, json={}, headers=headers)
        assert (response.status, (await response.json())["code"]) == (403, "cross-origin"), headers


async def test_a_socket_from_another_origin_or_without_a_login_is_refused(
    edge_of: EdgeOf, browser: aiohttp.ClientSession
) -> None:
    edge = await edge_of()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(f"{edge.url}/ws", origin=edge.url)
    assert refused.value.status == 401
    await log_in(edge, browser, {"name": "ada", "password": PASSWORD})
    with pytest.raises(aiohttp.WSServerHandshakeError) as crossed:
        await browser.ws_connect(f"{edge.url}/ws", origin="https://evil.example")
    assert crossed.value.status == 403
    async with browser.ws_connect(f"{edge.url}/ws", origin=edge.url) as socket:
        assert (await until(socket, "heartbeat"))[-1]["services"] is not None


async def test_a_forged_or_damaged_cookie_is_no_login(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    for value in ("x", "eyJhIjoiYWRhIn0=.00", "." * 10, "a" * 4000):
        response = await edge.http.get(
            f"{edge.url}/sovereigns", headers={"Cookie": f"catalyst_session={value}"}, allow_redirects=False
        )
        assert (response.status, response.headers["Location"]) == (302, "/login")


async def test_every_page_forbids_inline_scripts_and_other_origins_and_has_none(
    edge_of: EdgeOf, browser: aiohttp.ClientSession
) -> None:
    edge = await edge_of(sandbox=True)
    await edge.say(story.requested())
    await log_in(edge, browser, {"name": "ada", "password": PASSWORD})
    for path in ("/login", "/login/once", "/sovereigns", "/sovereigns/new", f"/sovereigns/{story.ID}"):
        response = await browser.get(f"{edge.url}{path}")
        page = await response.text()
        assert response.status == 200
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert "Simulated." in page
        assert not re.search(r"<script(?![^>]*(src=|application/json))", page)
        assert not re.search(r"\son\w+=|style=|https?://", page.replace(edge.url, ""))


async def test_what_a_person_typed_is_text_on_the_page_never_markup(
    edge_of: EdgeOf, browser: aiohttp.ClientSession
) -> None:
    edge = await edge_of()
    organisation = story.SHAPE.organisation.model_copy(update={"name": "</script><script>alert(1)</script>"})
    shape = story.SHAPE.model_copy(update={"organisation": organisation})
    await edge.say(story.requested().model_copy(update={"shape": shape}))
    await log_in(edge, browser, {"name": "ada", "password": PASSWORD})
    page = await (await browser.get(f"{edge.url}/sovereigns/{story.ID}")).text()
    assert "alert(1)" in page
    assert "<script>alert" not in page


async def test_a_socket_that_talks_nonsense_is_told_why_and_then_closed(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    async with edge.socket() as socket:
        for text in ("{", "[]", '{"type":"fly"}', '{"type":"subscribe"}', '{"type":"subscribe","channel":"../x"}'):
            await socket.send_str(text)
            assert (await until(socket, "problem"))[-1]["problem"]["code"] == "invalid-request"
        for _ in range(20):
            await socket.send_str("{")
        async for message in socket:
            assert message.type is aiohttp.WSMsgType.TEXT
        assert socket.close_code == 1008
    async with edge.socket() as socket:
        await socket.send_bytes(b"binary")
        async for _ in socket:
            pass
        assert socket.close_code == 1003
    async with edge.socket() as socket:
        await socket.send_str("x" * (65 * 1024))
        async for _ in socket:
            pass
        assert socket.close_code == 1009


async def test_one_socket_holds_a_bounded_number_of_subscriptions(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    names = [f"s{number}.omani.works" for number in range(51)]
    for name in names:
        await edge.say(story.requested(), sovereign_id=name.replace(".", "_"))
    async with edge.socket() as socket:
        for name in names:
            await socket.send_json({"type": "subscribe", "channel": name.replace(".", "_")})
        assert (await until(socket, "problem"))[-1]["problem"]["code"] == "too-many-requests"
