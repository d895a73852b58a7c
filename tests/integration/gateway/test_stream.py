import asyncio
import json

from contracts.event import Fact
from tests.integration.gateway.conftest import OTHER, Edge, EdgeOf, sse, until
from tests.unit.gateway import story


async def said(edge: Edge, *facts: Fact) -> None:
    await edge.say(*facts)


async def test_a_socket_gets_the_history_then_what_is_said_live_once_each_and_in_order(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    facts = story.facts()
    await said(edge, *facts[:10])
    async with edge.socket() as socket:
        await socket.send_json({"type": "subscribe", "channel": story.ID})
        past = await until(socket, "live")
        await said(edge, *facts[10:14])
        now = [await until(socket, "event") for _ in range(4)]
    ids = [m["id"] for m in past if m["type"] == "event"] + [m["id"] for group in now for m in group]
    sequences = [int(i.rsplit("-", 1)[1]) for i in ids]
    assert sequences == sorted(set(sequences))
    assert len(sequences) == 14
    assert [m["event"]["type"] for m in past if m["type"] == "event"] == [f.type_name() for f in facts[:10]]


async def test_events_said_while_many_viewers_join_reach_each_of_them_exactly_once(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    facts = story.facts()
    await said(edge, *facts[:5])

    async def viewer() -> list[str]:
        async with edge.socket() as socket:
            await socket.send_json({"type": "subscribe", "channel": story.ID})
            found: list[str] = []
            while len(found) < len(facts):
                found += [m["id"] for m in await until(socket, "event") if m["type"] == "event"]
            return found

    async with asyncio.TaskGroup() as group:
        viewers = [group.create_task(viewer()) for _ in range(10)]
        group.create_task(said(edge, *facts[5:]))
    seen = [task.result() for task in viewers]
    assert all(ids == seen[0] and len(set(ids)) == len(facts) for ids in seen)


async def test_a_stream_of_server_sent_events_resumes_after_the_last_id_without_a_gap_or_a_repeat(
    edge_of: EdgeOf,
) -> None:
    edge = await edge_of()
    facts = story.facts()
    await said(edge, *facts[:8])
    path = f"/api/v1/sovereigns/{story.ID}/events"
    response = await edge.get(path, headers={"Accept": "text/event-stream"})
    assert response.status == 200
    first = [r for r in await sse(response, until=lambda r: r.get("event") == "live") if "id" in r]
    response.close()
    await said(edge, *facts[8:12])
    again = await edge.get(path, headers={"Accept": "text/event-stream", "Last-Event-ID": first[-1]["id"]})
    rest = [r for r in await sse(again, until=lambda r: r.get("event") == "live") if "id" in r]
    again.close()
    types = [json.loads(r["data"])["type"] for r in first + rest]
    assert types == [f.type_name() for f in facts[:12]]


async def test_a_resume_token_of_another_stream_or_of_the_future_is_refused_with_a_problem(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    await said(edge, story.requested())
    path = f"/api/v1/sovereigns/{story.ID}/events"
    for token in ("20010101000000-1", "999999", "nonsense", "-5", "1" * 40):
        response = await edge.get(path, headers={"Accept": "text/event-stream", "Last-Event-ID": token})
        assert (response.status, (await response.json())["code"]) == (409, "resume-unknown"), token


async def test_a_heartbeat_tells_the_last_fact_and_which_services_are_alive(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    await said(edge, story.requested())
    async with edge.socket() as socket:
        async with asyncio.timeout(10):
            while True:
                beat = (await until(socket, "heartbeat"))[-1]
                if beat["services"].get("gateway") == 1:
                    break
    assert beat["services"]["intake"] == 0
    assert beat["position"].endswith("-1")


async def test_a_view_comes_with_the_subscription_and_again_when_something_is_said(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    await said(edge, story.requested())
    async with edge.socket() as socket:
        await socket.send_json({"type": "subscribe", "channel": story.ID, "view": True})
        first = (await until(socket, "view"))[-1]["view"]
        assert first["sentence"] == "Reserving demo.omani.works."
        await said(edge, *list(story.dns_and_cloud())[:3])
        async with asyncio.timeout(10):
            while (view := (await until(socket, "view"))[-1]["view"])["plan"] is None:
                pass
    assert view["plan"]["add"] == 4


async def test_the_state_at_an_earlier_sequence_is_what_was_seen_then(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    facts = story.facts()
    await said(edge, *facts)
    now = await (await edge.get(f"/api/v1/sovereigns/{story.ID}")).json()
    then = await (await edge.get(f"/api/v1/sovereigns/{story.ID}", params={"at": 1})).json()
    assert (now["state"], then["state"]) == ("handed-over", "provisioning")
    assert then["sentence"] == "Reserving demo.omani.works."


async def test_pages_of_events_have_a_limit_and_go_on_where_they_ended(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    facts = story.facts()
    await said(edge, *facts)
    path = f"/api/v1/sovereigns/{story.ID}/events"
    page = await edge.get(path, params={"limit": 7})
    body = await page.json()
    assert (len(body["events"]), body["more"]) == (7, True)
    rest = await edge.get(path, params={"from": page.headers["X-Resume"]}, headers={"Accept": "application/x-ndjson"})
    lines = (await rest.text()).splitlines()
    assert len(lines) == len(facts) - 7
    assert json.loads(lines[0])["event"]["type"] == facts[7].type_name()
    for limit in ("0", "-1", "x", "100000"):
        assert (await edge.get(path, params={"limit": limit})).status == 422


async def test_another_organisation_sees_nothing_on_list_state_replay_and_socket(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    await said(edge, story.requested())
    for path in ("", "/events", "/zone"):
        response = await edge.get(f"/api/v1/sovereigns/{story.ID}{path}", token=OTHER)
        assert (response.status, (await response.json())["code"]) == (404, "unknown-sovereign")
    assert (await (await edge.get("/api/v1/sovereigns", token=OTHER)).json())["sovereigns"] == []
    async with edge.socket(token=OTHER) as socket:
        await socket.send_json({"type": "subscribe", "channel": story.ID})
        assert (await until(socket, "problem"))[-1]["problem"]["code"] == "unknown-sovereign"
        await socket.send_json({"type": "subscribe", "channel": "*", "from": 0})
        assert [m["type"] for m in await until(socket, "live")] == ["subscribed", "live"]


async def test_a_second_gateway_needs_nothing_from_the_first(edge_of: EdgeOf) -> None:
    one = await edge_of("gateway-1")
    two = await edge_of("gateway-2")
    await said(one, *story.facts()[:6])
    async with one.socket() as socket:
        await socket.send_json({"type": "subscribe", "channel": story.ID})
        last = (await until(socket, "live"))[-2]["id"]
    await said(one, *story.facts()[6:9])
    async with two.socket() as socket:
        await socket.send_json({"type": "subscribe", "channel": story.ID, "from": last})
        rest = [m["event"]["type"] for m in await until(socket, "live") if m["type"] == "event"]
    assert rest == [f.type_name() for f in story.facts()[6:9]]
