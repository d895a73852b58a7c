"""Adoption: what exists and the state misses, as import blocks."""

from tofu_runner.adopt import Adoption, expected, import_blocks, missing
from tofu_runner.inventory import Found, Inventory

SERVERS = ("demo-omani-works-cp1", "demo-omani-works-w1")
WHOLE = Inventory(
    (
        Found("hcloud_network", 1, "demo-omani-works-net", parts=("subnet:10.0.1.0/24",)),
        Found("hcloud_server", 2, "demo-omani-works-cp1", parts=("network:1",)),
        Found("hcloud_server", 3, "demo-omani-works-w1"),
        Found("hcloud_load_balancer", 4, "demo-omani-works-lb", parts=("network:1", "target:2", "service:443")),
        Found("hcloud_firewall", 5, "demo-omani-works-fw"),
        Found("hcloud_ssh_key", 6, "demo-omani-works-key"),
        Found("hcloud_placement_group", 7, "demo-omani-works-pg"),
        Found("hcloud_placement_group", 8, "demo-omani-works-pg-w1"),
        Found("hcloud_server", 9, "somebody-elses"),
    )
)


def test_everything_of_ours_is_found_with_the_ids_that_the_provider_imports() -> None:
    found = {one.address: one.import_id for one in expected("demo_omani_works", WHOLE, SERVERS)}
    assert found == {
        "hcloud_network.private": "1",
        "hcloud_network_subnet.nodes": "1-10.0.1.0/24",
        'hcloud_server.control_plane["demo-omani-works-cp1"]': "2",
        'hcloud_server.worker["demo-omani-works-w1"]': "3",
        "hcloud_load_balancer.front": "4",
        "hcloud_load_balancer_network.front": "4-1",
        'hcloud_load_balancer_target.control_plane["demo-omani-works-cp1"]': "4__server__2",
        'hcloud_load_balancer_service.front["https"]': "4__443",
        "hcloud_firewall.nodes": "5",
        "hcloud_ssh_key.operator[0]": "6",
        "hcloud_placement_group.control_planes": "7",
        "hcloud_placement_group.workers[0]": "8",
    }


def test_an_empty_cloud_has_nothing_to_adopt() -> None:
    assert list(expected("demo_omani_works", Inventory(), SERVERS)) == []


def test_a_server_that_the_shape_does_not_ask_for_is_not_adopted() -> None:
    addresses = {one.address for one in expected("demo_omani_works", WHOLE, SERVERS[:1])}
    assert not any("worker" in address for address in addresses)


def test_only_what_the_state_does_not_know_is_imported() -> None:
    there = [Adoption("a.b", "1"), Adoption("a.c", "2")]
    assert missing(there, ["a.b"]) == (Adoption("a.c", "2"),)
    assert import_blocks(missing(there, ["a.b"])) == 'import {\n  to = a.c\n  id = "2"\n}\n'
