"""Lists: pages, Link header, sorting, filters by name and label, and the two ways of polling actions."""

import pytest

from .conftest import Cloud
from .keys import public_key


async def _keys(cloud: Cloud, count: int) -> list[int]:
    made = [
        await cloud.made(
            "/ssh_keys", {"name": f"key-{n:02}", "public_key": public_key(), "labels": {"n": str(n), "odd": str(n % 2)}}
        )
        for n in range(count)
    ]
    return [answer["ssh_key"]["id"] for answer in made]


async def test_a_long_list_comes_in_pages_that_say_where_the_others_are(cloud: Cloud) -> None:
    ids = await _keys(cloud, 7)
    _, answer, headers = await cloud.call_for_headers("GET", "/ssh_keys?per_page=3&page=2")
    assert [key["id"] for key in answer["ssh_keys"]] == ids[3:6]
    assert answer["meta"]["pagination"] == {
        "page": 2,
        "per_page": 3,
        "previous_page": 1,
        "next_page": 3,
        "last_page": 3,
        "total_entries": 7,
    }
    assert 'ssh_keys?page=3&per_page=3>; rel="next"' in headers["Link"]
    _, answer = await cloud.call("GET", "/ssh_keys?page=9")
    assert (answer["ssh_keys"], answer["meta"]["pagination"]["next_page"]) == ([], None)
    assert (await cloud.call("GET", "/ssh_keys?page=0"))[0] == 422


async def test_a_list_is_sorted_as_asked(cloud: Cloud) -> None:
    ids = await _keys(cloud, 3)
    _, answer = await cloud.call("GET", "/ssh_keys?sort=name:desc")
    assert [key["id"] for key in answer["ssh_keys"]] == ids[::-1]
    assert (await cloud.call("GET", "/ssh_keys?sort=colour"))[0] == 422


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("n=2", [2]),
        ("n==2", [2]),
        ("odd!=1", [0, 2, 4]),
        ("n in (1, 3)", [1, 3]),
        ("n notin (0,1,2,3)", [4]),
        ("odd=1,n!=3", [1]),
        ("odd", [0, 1, 2, 3, 4]),
        ("!odd", []),
        ("colour", []),
    ],
)
async def test_a_label_selector_chooses(cloud: Cloud, selector: str, expected: list[int]) -> None:
    ids = await _keys(cloud, 5)
    _, answer = await cloud.call("GET", f"/ssh_keys?label_selector={selector.replace(' ', '%20')}")
    assert [key["id"] for key in answer["ssh_keys"]] == [ids[n] for n in expected]


async def test_a_malformed_selector_is_invalid_input(cloud: Cloud) -> None:
    for selector in ("a=b=c", "=b", "a in b", "a%20b"):
        assert (await cloud.call("GET", f"/ssh_keys?label_selector={selector}"))[0] == 422


async def test_labels_and_names_that_change_are_found_under_the_new_ones_only(cloud: Cloud) -> None:
    first, second = await _keys(cloud, 2)
    await cloud.call("PUT", f"/ssh_keys/{first}", {"name": "renamed", "labels": {"n": "9"}})
    for query, expected in (("name=key-00", []), ("name=renamed", [first]), ("label_selector=n=0", [])):
        _, answer = await cloud.call("GET", f"/ssh_keys?{query}")
        assert [key["id"] for key in answer["ssh_keys"]] == expected
    assert (await cloud.call("PUT", f"/ssh_keys/{second}", {"name": "renamed"}))[0] == 409


async def test_images_are_chosen_by_name_and_architecture_and_old_ones_only_when_asked(cloud: Cloud) -> None:
    _, answer = await cloud.call("GET", "/images?name=ubuntu-24.04&architecture=arm")
    assert [(i["name"], i["architecture"]) for i in answer["images"]] == [("ubuntu-24.04", "arm")]
    assert (await cloud.call("GET", "/images?name=ubuntu-20.04"))[1]["images"] == []
    _, answer = await cloud.call("GET", "/images?name=ubuntu-20.04&include_deprecated=true&architecture=x86")
    assert len(answer["images"]) == 1


async def test_actions_are_polled_by_a_list_of_ids_and_one_by_one(cloud: Cloud) -> None:
    made = await cloud.made(
        "/servers", {"name": "one", "server_type": "cx23", "image": "debian-13", "location": "nbg1"}
    )
    ids = [made["action"]["id"], made["next_actions"][0]["id"]]
    query = "&".join(f"id={i}" for i in ids)
    _, answer = await cloud.call("GET", f"/actions?{query}&page=1&per_page=50&sort=status&sort=id")
    assert [(a["id"], a["command"], a["progress"]) for a in answer["actions"]] == [
        (ids[0], "create_server", 100),
        (ids[1], "start_server", 100),
    ]
    server = made["server"]["id"]
    for path in (f"/actions/{ids[0]}", f"/servers/actions/{ids[0]}", f"/servers/{server}/actions/{ids[0]}"):
        assert (await cloud.call("GET", path))[1]["action"]["resources"] == [{"id": server, "type": "server"}]
    assert len((await cloud.call("GET", f"/servers/{server}/actions"))[1]["actions"]) == 2
    assert (await cloud.call("GET", f"/volumes/{server}/actions"))[0] == 404


async def test_the_whole_catalogue_is_as_the_document_says(cloud: Cloud) -> None:
    for path, single in (
        ("locations", "location"),
        ("server_types", "server_type"),
        ("load_balancer_types", "load_balancer_type"),
        ("isos", "iso"),
        ("images", "image"),
    ):
        _, answer = await cloud.call("GET", f"/{path}?per_page=50")
        assert answer[path]
        entry = answer[path][0]
        assert (await cloud.call("GET", f"/{path}/{entry['id']}"))[1][single] == entry
        assert (await cloud.call("GET", f"/{path}/999"))[0] == 404
    _, pricing = await cloud.call("GET", "/pricing")
    assert pricing["pricing"]["currency"] == "EUR"
    assert (await cloud.call("GET", "/floating_ips"))[1]["floating_ips"] == []
