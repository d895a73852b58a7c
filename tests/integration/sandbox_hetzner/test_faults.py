"""Scripted faults happen as often as they were asked for, and the ledger tells what really happened."""

import asyncio
from typing import Any

import aiohttp
import pytest

from .conftest import Cloud
from .keys import public_key

SERVER = {"name": "one", "server_type": "cx23", "image": "ubuntu-24.04", "location": "fsn1"}


async def _script(
    cloud: Cloud, *steps: dict[str, Any], method: str = "POST", path: str = "/servers", **how: Any
) -> None:
    status, answer = await cloud.control("POST", "/faults", {"method": method, "path": path, "steps": steps, **how})
    assert status == 201, answer


async def _alive(cloud: Cloud, kind: str) -> int:
    resources = (await cloud.control("GET", "/ledger?totals=only"))[1]["resources"]
    return int(resources.get(kind, {"alive": 0})["alive"])


async def test_a_refusal_scripted_three_times_is_followed_by_acceptance(cloud: Cloud) -> None:
    await _script(cloud, {"answer": {"code": "resource_unavailable"}, "times": 3})
    statuses = [(await cloud.call("POST", "/servers", SERVER))[0] for _ in range(4)]
    assert statuses == [412, 412, 412, 201]
    assert await _alive(cloud, "servers") == 1
    _, faults = await cloud.control("GET", "/faults")
    assert [(f["applied"], f["spent"]) for f in faults["faults"]] == [(3, True)]


async def test_a_sequence_of_different_steps_starts_at_the_nth_call_of_one_operation(cloud: Cloud) -> None:
    steps = ({"answer": {"code": "conflict"}}, {"answer": {"code": "odd", "status": 503, "message": "no"}})
    await _script(cloud, *steps, path="/ssh_keys", nth=2)
    answers = []
    for n in range(4):
        await cloud.call("GET", "/ssh_keys")
        body = {"name": f"k{n}", "public_key": public_key()}
        answers.append(await cloud.call("POST", "/ssh_keys", body))
    assert [status for status, _ in answers] == [201, 409, 503, 201]
    assert answers[2][1]["error"] == {"code": "odd", "message": "no", "details": None}


async def test_a_fault_for_one_project_leaves_others_alone(cloud: Cloud) -> None:
    await _script(cloud, {"answer": {"code": "maintenance"}, "times": 9}, method="*", path="*", project="project-b")
    assert (await cloud.call("GET", "/servers"))[0] == 200
    other = await cloud.token("project-b")
    assert (await cloud.call("GET", "/servers", token=other))[0] == 403
    assert (await cloud.control("DELETE", "/faults"))[0] == 204
    assert (await cloud.call("GET", "/servers", token=other))[0] == 200


async def test_a_dropped_reply_leaves_the_resource_behind_and_the_ledger_says_so(cloud: Cloud) -> None:
    await _script(cloud, {"drop_reply": True})
    with pytest.raises(aiohttp.ClientConnectionError):
        await cloud.call("POST", "/servers", SERVER)
    assert await _alive(cloud, "servers") == 1
    _, ledger = await cloud.control("GET", "/ledger?project=project-a")
    line = next(line for line in ledger["lines"] if line.get("call") == "POST /servers")
    assert (line["reply"], line["status"], line["effects"][0][:2]) == ("dropped", 201, ["created", "servers"])
    status, answer = await cloud.call("POST", "/servers", SERVER)
    assert (status, answer["error"]["code"]) == (409, "uniqueness_error")


async def test_a_hanging_call_has_no_effect_and_no_answer(cloud: Cloud) -> None:
    await _script(cloud, {"hang_s": 0.2})
    with pytest.raises(aiohttp.ClientConnectionError):
        await cloud.call("POST", "/servers", SERVER)
    assert await _alive(cloud, "servers") == 0
    assert (await cloud.call("POST", "/servers", SERVER))[0] == 201


async def test_a_delayed_call_is_answered_late_but_well(cloud: Cloud) -> None:
    await _script(cloud, {"delay_s": 0.2}, method="GET", path="/locations")
    begun = asyncio.get_running_loop().time()
    assert (await cloud.call("GET", "/locations"))[0] == 200
    assert asyncio.get_running_loop().time() - begun >= 0.2


async def test_an_action_that_fails_leaves_its_effect_out(cloud: Cloud) -> None:
    network = (await cloud.made("/networks", {"name": "net", "ip_range": "10.0.0.0/16"}))["network"]["id"]
    path = f"/networks/{network}/actions/add_subnet"
    error = {"error_code": "service_error", "error_message": "it broke"}
    await _script(cloud, {"action": error}, path="/networks/{id}/actions/add_subnet")
    body = {"type": "cloud", "network_zone": "eu-central"}
    _, answer = await cloud.call("POST", path, body)
    action = await cloud.ended(answer["action"]["id"])
    assert action["status"] == "error"
    assert action["error"] == {"code": "service_error", "message": "it broke"}
    assert (await cloud.call("GET", f"/networks/{network}"))[1]["network"]["subnets"] == []
    await cloud.made(path, body)


async def test_an_attachment_that_fails_gives_its_address_back_and_can_be_tried_again(cloud: Cloud) -> None:
    subnet = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}
    made = await cloud.made("/networks", {"name": "net", "ip_range": "10.0.0.0/16", "subnets": [subnet]})
    body = {"network": made["network"]["id"], "ip": "10.0.1.9"}
    server = (await cloud.made("/servers", SERVER))["server"]["id"]
    balancer = {"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"}
    balancer_id = (await cloud.made("/load_balancers", balancer))["load_balancer"]["id"]
    for kind, holder in (("servers", server), ("load_balancers", balancer_id)):
        await _script(cloud, {"action": {"error_code": "timeout"}}, path=f"/{kind}/{{id}}/actions/attach_to_network")
        _, answer = await cloud.call("POST", f"/{kind}/{holder}/actions/attach_to_network", body)
        assert (await cloud.ended(answer["action"]["id"]))["status"] == "error"
        await cloud.made(f"/{kind}/{holder}/actions/attach_to_network", body)
        await cloud.made(f"/{kind}/{holder}/actions/detach_from_network", body)


async def test_a_delete_that_fails_leaves_the_server_as_it_was(cloud: Cloud) -> None:
    server = (await cloud.made("/servers", SERVER))["server"]["id"]
    await _script(cloud, {"action": {"error_code": "timeout"}}, method="DELETE", path="/servers/{id}")
    _, answer = await cloud.call("DELETE", f"/servers/{server}")
    assert (await cloud.ended(answer["action"]["id"]))["status"] == "error"
    _, found = await cloud.call("GET", f"/servers/{server}")
    assert (found["server"]["status"], found["server"]["locked"]) == ("running", False)


async def test_an_action_that_never_ends_keeps_its_server_locked(cloud: Cloud) -> None:
    await _script(cloud, {"action": {"never": True}})
    _, answer = await cloud.call("POST", "/servers", SERVER)
    other = (await cloud.made("/servers", SERVER | {"name": "two"}))["server"]
    _, first = await cloud.call("GET", f"/servers/{answer['server']['id']}")
    assert (first["server"]["status"], first["server"]["locked"]) == ("initializing", True)
    _, second = await cloud.call("GET", f"/servers/{other['id']}")
    assert (second["server"]["status"], second["server"]["locked"]) == ("running", False)


async def test_the_control_api_refuses_what_it_does_not_understand(cloud: Cloud) -> None:
    await cloud.call("GET", "/servers")
    for path, body in (
        ("/faults", {"path": "/servers", "steps": []}),
        ("/faults", {"path": "/servers", "steps": [{"answr": {"code": "x"}}]}),
        ("/tokens", {"token": "canary", "project": "p"}),
    ):
        status, answer = await cloud.control("POST", path, body)
        assert status == 422
        assert answer["problems"]
        assert "canary" not in str(answer)
    assert (await cloud.control("PUT", "/limits", {"project": "p", "limits": {"cows": 1}}))[0] == 422
    assert (await cloud.control("GET", "/"))[1]["simulated"] is True


async def test_the_ledger_names_every_call_and_never_a_token(cloud: Cloud) -> None:
    await cloud.made("/servers", SERVER)
    token = await cloud.token()
    _, ledger = await cloud.control("GET", "/ledger")
    assert token not in str(ledger)
    assert [line.get("call") or line["action"] for line in ledger["lines"][:1]] == ["POST /servers"]
    assert ledger["calls"]["POST /servers"] == {"201": 1}
    assert ledger["resources"]["servers"] == {"created": 1, "deleted": 0, "alive": 1}
    _, later = await cloud.control("GET", f"/ledger?after={ledger['lines'][-1]['n']}")
    assert later["lines"] == []
    _, inventory = await cloud.control("GET", "/inventory?project=project-a")
    assert [s["name"] for s in inventory["projects"]["project-a"]["servers"]] == ["one"]
