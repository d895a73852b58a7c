"""How the API refuses: in the real one's order, with its statuses, codes, texts and details."""

from typing import Any

import pytest

from .conftest import Cloud, CloudAt
from .keys import public_key

SERVER = {"name": "one", "server_type": "cx23", "image": "ubuntu-24.04", "location": "fsn1"}


async def _refusal(cloud: Cloud, method: str, path: str, body: Any = None, **how: Any) -> tuple[int, str]:
    status, answer = await cloud.call(method, path, body, **how)
    return status, answer["error"]["code"]


async def test_a_call_without_or_with_an_unknown_token_is_told_so_in_the_real_words(cloud: Cloud) -> None:
    status, answer = await cloud.call("GET", "/servers", token="")
    assert (status, answer["error"]) == (
        401,
        {"code": "unauthorized", "message": "token is required", "details": None},
    )
    status, answer = await cloud.call("GET", "/servers", token="z" * 64)
    assert (status, answer["error"]["message"]) == (401, "the token you have provided is invalid")


async def test_an_unknown_path_is_not_found_before_the_token_is_read_but_a_wrong_method_is_not(cloud: Cloud) -> None:
    assert await _refusal(cloud, "GET", "/nonsense", token="") == (404, "not_found")
    assert await _refusal(cloud, "PUT", "/actions", token="") == (401, "unauthorized")
    assert await _refusal(cloud, "PUT", "/actions") == (405, "method_not_allowed")


async def test_a_read_only_token_is_refused_before_its_body_is_looked_at(cloud: Cloud) -> None:
    reading = await cloud.token(access="read")
    assert (await cloud.call("GET", "/servers", token=reading))[0] == 200
    assert await _refusal(cloud, "POST", "/ssh_keys", {}, token=reading) == (401, "token_readonly")
    assert await _refusal(cloud, "POST", "/ssh_keys", raw=b"{broken", token=reading) == (401, "token_readonly")
    assert await _refusal(cloud, "POST", "/ssh_keys", {}) == (422, "invalid_input")
    assert (await cloud.control("GET", "/ledger?totals=only"))[1]["resources"] == {}


async def test_a_body_that_is_no_json_is_a_json_error(cloud: Cloud) -> None:
    assert await _refusal(cloud, "POST", "/networks", raw=b"{broken") == (400, "json_error")
    assert await _refusal(cloud, "POST", "/networks", raw=b"[]") == (422, "invalid_input")


async def test_every_invalid_field_is_named_at_once(cloud: Cloud) -> None:
    body = {"name": "bad name!", "image": 7.5, "user_data": "x" * 32769, "labels": {"hetzner.cloud/x": "-"}}
    status, answer = await cloud.call("POST", "/servers", body)
    assert status == 422
    named = {field["name"] for field in answer["error"]["details"]["fields"]}
    assert named == {"name", "server_type", "image", "user_data", "labels"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"server_type": "cx11"}, (422, "invalid_input")),
        ({"server_type": "cx22"}, (422, "invalid_input")),
        ({"server_type": "cx23", "location": "ash"}, (422, "invalid_input")),
        ({"server_type": "cpx31"}, (422, "invalid_input")),
        ({"image": "ubuntu-18.04"}, (422, "invalid_input")),
        ({"server_type": "cax11", "image": 161547269}, (422, "invalid_input")),
        ({"ssh_keys": ["nobody"]}, (404, "not_found")),
        ({"networks": [42]}, (404, "not_found")),
        ({"placement_group": 42}, (404, "not_found")),
        ({"public_net": {"ipv4": 42}}, (404, "not_found")),
        ({"datacenter": "fsn1-dc14", "location": None}, (422, "invalid_input")),
    ],
)
async def test_a_server_that_cannot_be_ordered_is_refused_and_nothing_is_made(
    cloud: Cloud, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert await _refusal(cloud, "POST", "/servers", SERVER | change) == expected
    assert (await cloud.control("GET", "/ledger?totals=only"))[1]["resources"] == {}


async def test_a_name_or_a_key_that_is_taken_is_not_unique(cloud: Cloud) -> None:
    key = {"name": "one", "public_key": public_key()}
    await cloud.made("/ssh_keys", key)
    status, answer = await cloud.call("POST", "/ssh_keys", key | {"name": "two"})
    assert (status, answer["error"]["code"]) == (409, "uniqueness_error")
    assert answer["error"]["details"] == {"fields": [{"name": "public_key"}]}
    status, answer = await cloud.call("POST", "/ssh_keys", {"name": "one", "public_key": public_key()})
    assert (status, answer["error"]["details"]) == (409, {"fields": [{"name": "name"}]})


async def test_names_and_resources_of_one_project_are_nothing_to_another(cloud: Cloud) -> None:
    made = await cloud.made("/networks", {"name": "one", "ip_range": "10.0.0.0/16"})
    stranger = await cloud.token("project-b")
    path = f"/networks/{made['network']['id']}"
    assert await _refusal(cloud, "GET", path, token=stranger) == (404, "not_found")
    assert await _refusal(cloud, "DELETE", path, token=stranger) == (404, "not_found")
    body = {"name": "one", "ip_range": "10.0.0.0/16"}
    assert (await cloud.call("POST", "/networks", body, token=stranger))[0] == 201


async def test_a_server_is_locked_while_an_action_holds_it(cloud_at: CloudAt) -> None:
    async with cloud_at(durations={"create_server": 0.3}) as cloud:
        _, answer = await cloud.call("POST", "/servers", SERVER)
        path = f"/servers/{answer['server']['id']}"
        assert answer["server"]["locked"] is True
        assert await _refusal(cloud, "DELETE", path) == (423, "locked")
        assert await _refusal(cloud, "POST", f"{path}/actions/poweroff") == (423, "locked")
        await cloud.settled(answer)
        _, answer = await cloud.call("GET", path)
        assert (answer["server"]["locked"], answer["server"]["status"]) == (False, "running")


async def test_a_network_that_is_being_changed_answers_conflict_until_it_is_done(cloud_at: CloudAt) -> None:
    async with cloud_at(durations={"add_subnet": 0.3}) as cloud:
        made = await cloud.made("/networks", {"name": "one", "ip_range": "10.0.0.0/16"})
        path = f"/networks/{made['network']['id']}/actions/add_subnet"
        body = {"type": "cloud", "network_zone": "eu-central"}
        status, first = await cloud.call("POST", path, body)
        assert status == 201
        assert await _refusal(cloud, "POST", path, body) == (409, "conflict")
        await cloud.settled(first)
        await cloud.made(path, body)
        _, answer = await cloud.call("GET", f"/networks/{made['network']['id']}")
        assert [s["ip_range"] for s in answer["network"]["subnets"]] == ["10.0.0.0/24", "10.0.1.0/24"]


async def test_what_is_protected_cannot_be_deleted_until_it_is_not(cloud: Cloud) -> None:
    made = await cloud.made("/networks", {"name": "one", "ip_range": "10.0.0.0/16"})
    path = f"/networks/{made['network']['id']}"
    await cloud.made(f"{path}/actions/change_protection", {"delete": True})
    assert await _refusal(cloud, "DELETE", path) == (423, "protected")
    await cloud.made(f"{path}/actions/change_protection", {"delete": False})
    assert (await cloud.call("DELETE", path))[0] == 204


async def test_a_subnet_with_attached_resources_stays(cloud: Cloud) -> None:
    network = await cloud.made(
        "/networks",
        {
            "name": "one",
            "ip_range": "10.0.0.0/16",
            "subnets": [{"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}],
        },
    )
    network_id = network["network"]["id"]
    server = await cloud.made("/servers", SERVER | {"networks": [network_id]})
    assert server["server"]["private_net"][0]["ip"] == "10.0.1.1"
    status, answer = await cloud.call(
        "POST", f"/networks/{network_id}/actions/delete_subnet", {"ip_range": "10.0.1.0/24"}
    )
    assert (status, answer["error"]["code"]) == (422, "service_error")
    assert "servers are attached" in answer["error"]["message"]


async def test_private_addresses_are_handed_out_once_and_only_inside_a_subnet_of_the_zone(cloud: Cloud) -> None:
    subnet = {"type": "cloud", "ip_range": "10.0.1.0/29", "network_zone": "eu-central"}
    made = await cloud.made("/networks", {"name": "one", "ip_range": "10.0.0.0/16", "subnets": [subnet]})
    network = made["network"]["id"]
    server = (await cloud.made("/servers", SERVER))["server"]["id"]
    other = (await cloud.made("/servers", SERVER | {"name": "two"}))["server"]["id"]
    far = (await cloud.made("/servers", SERVER | {"name": "far", "server_type": "cpx22", "location": "ash"}))["server"]
    attach = "/servers/{}/actions/attach_to_network"
    await cloud.made(attach.format(server), {"network": network, "ip": "10.0.1.4"})
    assert await _refusal(cloud, "POST", attach.format(server), {"network": network}) == (
        422,
        "server_already_attached",
    )
    for wish in ("10.0.1.4", "10.0.1.0", "10.0.1.7", "10.0.9.1"):
        taken = await _refusal(cloud, "POST", attach.format(other), {"network": network, "ip": wish})
        assert taken == (422, "ip_not_available")
    assert await _refusal(cloud, "POST", attach.format(far["id"]), {"network": network}) == (422, "no_subnet_available")


async def test_a_project_at_its_quota_is_refused_with_the_limit_named(cloud: Cloud) -> None:
    await cloud.token()
    await cloud.control("PUT", "/limits", {"project": "project-a", "limits": {"servers": 1, "load_balancers": 0}})
    await cloud.made("/servers", SERVER)
    status, answer = await cloud.call("POST", "/servers", SERVER | {"name": "two"})
    assert (status, answer["error"]["code"]) == (403, "resource_limit_exceeded")
    assert answer["error"]["details"] == {"limits": [{"name": "server_limit"}]}
    balancer = {"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"}
    assert await _refusal(cloud, "POST", "/load_balancers", balancer) == (403, "resource_limit_exceeded")


async def test_a_location_without_room_refuses_shows_it_in_the_catalogue_and_takes_servers_again(cloud: Cloud) -> None:
    await cloud.control("PUT", "/capacity", {"location": "fsn1", "server_type": "cx23", "remaining": 1})
    await cloud.made("/servers", SERVER)
    status, answer = await cloud.call("POST", "/servers", SERVER | {"name": "two"})
    assert (status, answer["error"]["code"]) == (412, "resource_unavailable")
    await cloud.made("/servers", SERVER | {"name": "elsewhere", "location": "nbg1"})

    full = {"location": "hel1", "code": "placement_error", "message": "server location disabled"}
    await cloud.control("PUT", "/capacity", full)
    assert await _refusal(cloud, "POST", "/servers", SERVER | {"location": "hel1", "name": "h"}) == (
        422,
        "placement_error",
    )
    _, types = await cloud.call("GET", "/server_types?name=cx23")
    available = {offer["name"]: offer["available"] for offer in types["server_types"][0]["locations"]}
    assert available == {"fsn1": False, "nbg1": True, "hel1": False}

    await cloud.control("PUT", "/capacity", {"location": "fsn1", "server_type": "cx23", "remaining": None})
    await cloud.made("/servers", SERVER | {"name": "two"})


async def test_the_rate_limit_is_counted_per_project_and_says_when_it_is_full_again(cloud_at: CloudAt) -> None:
    async with cloud_at(rate_limit=3, rate_per_second=0.5) as cloud:
        token = await cloud.token()
        remaining = []
        for _ in range(3):
            status, _, headers = await cloud.call_for_headers("GET", "/locations", token=token)
            assert status == 200
            assert headers["RateLimit-Limit"] == "3"
            remaining.append(int(headers["RateLimit-Remaining"]))
        assert remaining == [2, 1, 0]
        status, answer, headers = await cloud.call_for_headers("GET", "/locations", token=token)
        assert (status, answer["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(headers["RateLimit-Reset"]) > 0
        other = await cloud.token("project-b")
        assert (await cloud.call("GET", "/locations", token=other))[0] == 200
        await cloud.control("PUT", "/rate", {"project": "project-a", "remaining": 1})
        assert (await cloud.call("GET", "/locations", token=token))[0] == 200


async def test_a_removed_endpoint_says_that_it_is_gone(cloud: Cloud) -> None:
    status, answer = await cloud.call("GET", "/datacenters")
    assert (status, answer["error"]["code"]) == (410, "deprecated_api_endpoint")
    assert answer["error"]["details"]["announcement"].startswith("https://")


async def test_a_withdrawn_token_is_unknown_from_then_on(cloud: Cloud) -> None:
    token = await cloud.token("project-b")
    _, listed = await cloud.control("GET", "/tokens")
    assert token not in str(listed)
    mark = next(entry["token"] for entry in listed["tokens"] if entry["project"] == "project-b")
    assert (await cloud.control("DELETE", f"/tokens/{mark}"))[0] == 204
    assert await _refusal(cloud, "GET", "/servers", token=token) == (401, "unauthorized")
