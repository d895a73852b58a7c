"""The variables file: every variable of the module, nothing of a request evaluated."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from contracts.request import Shape
from tofu_runner.variables import Deployment, servers_of, variables_file, variables_of

MODULE = Path(__file__).parents[3] / "deploy" / "tofu" / "hetzner"
DEPLOYMENT = Deployment("http://door/", "", "http://kit/kit.git", "./kit", "main", "https://acme/dir")
SHAPE = Shape.model_validate(
    {
        "organisation": {"name": "Acme"},
        "topology": {"region": "ash", "control_plane_count": 3, "worker_count": 2},
        "domain": {"fqdn": "demo.omani.works"},
        "ssh_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx0yT6ZHzmYqNPbzkAdEWDHqgVqZdYVOkOJ0n2PpQ2M a",
    }
)


def test_the_servers_of_a_shape_begin_with_the_one_that_hands_in() -> None:
    assert servers_of("demo_omani_works", SHAPE) == (
        "demo-omani-works-cp1",
        "demo-omani-works-cp2",
        "demo-omani-works-cp3",
        "demo-omani-works-w1",
        "demo-omani-works-w2",
    )


def test_every_variable_of_the_module_is_given_and_no_other() -> None:
    declared = set(re.findall(r'^variable "(\w+)"', (MODULE / "variables.tf").read_text(), re.MULTILINE))
    given_ones = variables_of(
        "demo_omani_works",
        SHAPE,
        DEPLOYMENT,
        node_tokens={},
        hand_in_token="h",
        k3s_token="k",
        zone_credential={"url": "u", "api_key": "k"},
        admin_email="a@example.org",
        options=["loki", "alloy"],
    )
    assert set(given_ones) == declared
    assert given_ones["kit_options"] == ["loki", "alloy"]
    assert given_ones["network_zone"] == "us-east"
    assert given_ones["node_door_url"] == "http://door"


def test_templates_are_text() -> None:
    assert variables_file({"x": "${var.y} %{if true}"}) == b'x = "$${var.y} %%{if true}"\n'


def test_control_and_astral_characters_are_written_in_ways_that_opentofu_reads() -> None:
    assert variables_file({"x": "a\bb\fc\\b"}) == b'x = "a\\u0008b\\u000cc\\\\b"\n'
    assert variables_file({"x": "\U0001f600"}) == 'x = "\U0001f600"\n'.encode()


@given(st.text(max_size=40))
def test_a_value_is_one_line_whatever_it_holds(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    written = variables_file({"x": text})
    assert written.count(b"\n") == 1
    assert not re.search(rb"(?<!\$)\$\{|(?<!%)%\{", written)
