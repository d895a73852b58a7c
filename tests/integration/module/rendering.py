"""User data as the module renders it: OpenTofu, with a mocked provider, tells what each server gets."""

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

DEPLOY = pathlib.Path(__file__).parents[3] / "deploy"
MODULE = DEPLOY / "tofu" / "hetzner"

DEFAULTS: Mapping[str, Any] = {
    "sovereign_id": "demo_omani_works",
    "fqdn": "demo.omani.works",
    "location": "fsn1",
    "network_zone": "eu-central",
    "control_plane_type": "cpx32",
    "ssh_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIl0MRtnEPqXNZAVJnxO1/7tGhgeCUvcg4ed5yBfRb9r admin",
    "node_door_url": "https://door.example",
    "node_door_ca": "",
    "hand_in_token": "canary-hand-in-0123456789",
    "k3s_token": "canary-join-0123456789-0123456789-0123456789",
    "zone_credential": {"url": "https://dns.example/api/v1", "api_key": "canary-zone-key-0123456789"},
    "organisation": 'Omantel\'s "cloud" & $(team)',
    "admin_email": "admin@omani.works",
    "kit_source": {"url": "https://git.example/catalyst.git", "path": "./deploy/kit", "revision": "main"},
    "acme_server": "https://acme-staging-v02.api.letsencrypt.org/directory",
}


def node_tokens(slug: str, control_planes: int, workers: int) -> dict[str, str]:
    """A token for each server."""
    names = [f"{slug}-cp{n + 1}" for n in range(control_planes)] + [f"{slug}-w{n + 1}" for n in range(workers)]
    return {name: f"canary-node-{name}" for name in names}


def tofu(directory: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run OpenTofu in a folder; what it keeps lies beside the folder."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TF_CLI_CONFIG_FILE": os.environ["CATALYST_TOFU_CLI_CONFIG"],
        "TF_DATA_DIR": str(directory / ".tofu"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }
    return subprocess.run(
        [os.environ["CATALYST_TOFU"], *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def module_copy(directory: pathlib.Path) -> pathlib.Path:
    """A copy of the module with what it reads, initialised."""
    copy = directory / "deploy" / "tofu" / "hetzner"
    shutil.copytree(MODULE, copy, ignore=shutil.ignore_patterns(".terraform*"))
    shutil.copy(DEPLOY / "pins.yaml", directory / "deploy" / "pins.yaml")
    done = tofu(copy, "init", "-backend=false", "-input=false", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


def render(directory: pathlib.Path, balancer_ipv4: str = "203.0.113.10", **changes: Any) -> dict[str, str]:
    """Server name to the user data that it gets."""
    variables = {**DEFAULTS, **changes}
    slug = variables["fqdn"].replace(".", "-")
    tokens = node_tokens(slug, variables.get("control_plane_count", 1), variables.get("worker_count", 0))
    variables.setdefault("node_tokens", tokens)
    copy = module_copy(directory)
    shutil.rmtree(copy / "tests")
    (copy / "tests").mkdir()
    given = "\n".join(f"  {name} = {_hcl(value)}" for name, value in variables.items())
    (copy / "tests" / "render.tftest.hcl").write_text(
        f"""
mock_provider "hcloud" {{
  mock_resource "hcloud_load_balancer" {{
    defaults = {{ id = "7001", ipv4 = "{balancer_ipv4}", ipv6 = "2001:db8::10" }}
  }}
  mock_resource "hcloud_network" {{
    defaults = {{ id = "7002" }}
  }}
  mock_resource "hcloud_firewall" {{
    defaults = {{ id = "7003" }}
  }}
  mock_resource "hcloud_ssh_key" {{
    defaults = {{ id = "7004" }}
  }}
  mock_resource "hcloud_placement_group" {{
    defaults = {{ id = "7005" }}
  }}
  mock_resource "hcloud_server" {{
    defaults = {{ id = "7006" }}
  }}
}}
variables {{
{given}
}}
run "render" {{}}
"""
    )
    done = tofu(copy, "test", "-json", "-verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    state = next(line["test_state"] for line in lines if line["type"] == "test_state")
    resources = state["values"]["root_module"]["resources"]
    return {
        each["values"]["name"]: each["values"]["user_data"] for each in resources if each["type"] == "hcloud_server"
    }


def _hcl(value: Any) -> str:
    """JSON is HCL, but for `${` and `%{` in text."""
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")
