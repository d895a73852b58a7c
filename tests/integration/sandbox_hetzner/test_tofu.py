"""Real OpenTofu with the real provider against the simulated cloud."""

import asyncio
import json
import os
import pathlib
import shutil
from typing import Any

import pytest

from .conftest import Cloud

HCL = """
terraform {
  required_providers { hcloud = { source = "hetznercloud/hcloud", version = "1.68.0" } }
}
provider "hcloud" {
  poll_interval = "50ms"
  poll_function = "constant"
}
variable "workers" { default = 1 }
variable "size" { default = "cx23" }

resource "hcloud_ssh_key" "key" {
  name       = "demo-key"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIl0MRtnEPqXNZAVJnxO1/7tGhgeCUvcg4ed5yBfRb9r someone@example"
}
resource "hcloud_network" "net" {
  name     = "demo-net"
  ip_range = "10.0.0.0/16"
}
resource "hcloud_network_subnet" "nodes" {
  network_id   = hcloud_network.net.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = "10.0.1.0/24"
}
resource "hcloud_network_route" "out" {
  network_id  = hcloud_network.net.id
  destination = "192.168.7.0/24"
  gateway     = "10.0.1.11"
}
resource "hcloud_firewall" "fw" {
  name = "demo-fw"
  rule {
    direction  = "in"
    protocol   = "tcp"
    port       = "22"
    source_ips = ["198.51.100.0/24"]
  }
}
resource "hcloud_firewall" "selected" {
  name = "demo-selected"
  rule {
    direction  = "in"
    protocol   = "icmp"
    source_ips = ["0.0.0.0/0", "::/0"]
  }
  apply_to { label_selector = "role=elsewhere" }
}
resource "hcloud_placement_group" "spread" {
  name = "demo-pg"
  type = "spread"
}
resource "hcloud_primary_ip" "first" {
  name          = "demo-ip"
  type          = "ipv4"
  location      = "fsn1"
  auto_delete   = false
}
resource "hcloud_server" "node" {
  count              = 1 + var.workers
  name               = "demo-n${count.index + 1}"
  server_type        = var.size
  image              = "ubuntu-24.04"
  location           = "fsn1"
  ssh_keys           = [hcloud_ssh_key.key.id]
  firewall_ids       = [hcloud_firewall.fw.id]
  placement_group_id = hcloud_placement_group.spread.id
  user_data          = "#cloud-config\\n{}"
  labels             = { role = "node" }
  public_net {
    ipv4_enabled = true
    ipv4         = count.index == 0 ? hcloud_primary_ip.first.id : null
    ipv6_enabled = true
  }
  network {
    network_id = hcloud_network.net.id
    ip         = "10.0.1.${11 + count.index}"
    alias_ips  = []
  }
  depends_on = [hcloud_network_subnet.nodes]
}
resource "hcloud_volume" "data" {
  name      = "demo-data"
  size      = 10
  server_id = hcloud_server.node[0].id
  format    = "ext4"
}
resource "hcloud_load_balancer" "front" {
  name               = "demo-lb"
  load_balancer_type = "lb11"
  location           = "fsn1"
}
resource "hcloud_load_balancer_network" "front" {
  load_balancer_id = hcloud_load_balancer.front.id
  network_id       = hcloud_network.net.id
  ip               = "10.0.1.250"
  depends_on       = [hcloud_network_subnet.nodes]
}
resource "hcloud_load_balancer_target" "nodes" {
  count            = 1 + var.workers
  load_balancer_id = hcloud_load_balancer.front.id
  type             = "server"
  server_id        = hcloud_server.node[count.index].id
  use_private_ip   = true
  depends_on       = [hcloud_load_balancer_network.front]
}
resource "hcloud_load_balancer_service" "api" {
  for_each         = { api = 6443, web = 80 }
  load_balancer_id = hcloud_load_balancer.front.id
  protocol         = "tcp"
  listen_port      = each.value
  destination_port = each.value
}
data "hcloud_locations" "all" {}
data "hcloud_server_types" "all" {}
data "hcloud_load_balancer_types" "all" {}
output "address" { value = hcloud_load_balancer.front.ipv4 }
"""


class Tofu:
    """Runs tofu in a directory against a cloud."""

    def __init__(self, directory: pathlib.Path, endpoint: str, token: str) -> None:
        self.directory = directory
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "HCLOUD_ENDPOINT": endpoint,
            "HCLOUD_TOKEN": token,
            "TF_CLI_CONFIG_FILE": _required("CATALYST_TOFU_CLI_CONFIG"),
        }

    async def run(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            _required("CATALYST_TOFU"),
            *arguments,
            cwd=self.directory,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(120):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, output.decode()

    async def ok(self, *arguments: str) -> str:
        status, output = await self.run(*arguments)
        assert status == 0, output[-4000:]
        return output


def _required(name: str) -> str:
    value = os.environ.get(name)
    assert value, f"{name} is not set: the tool box provides it"
    return value


@pytest.fixture
async def tofu(cloud: Cloud, tmp_path: pathlib.Path) -> Tofu:
    directory = tmp_path / "work"
    directory.mkdir()
    (directory / "main.tf").write_text(HCL)
    made = Tofu(directory, cloud.up.endpoint, await cloud.token())
    await made.ok("init", "-no-color", "-input=false")
    return made


async def _alive(cloud: Cloud) -> dict[str, int]:
    _, answer = await cloud.control("GET", "/ledger?totals=only")
    return {kind: counts["alive"] for kind, counts in answer["resources"].items() if counts["alive"]}


async def _plan(tofu: Tofu, *variables: str) -> Any:
    await tofu.ok("plan", "-no-color", "-input=false", "-out=plan", *variables)
    shown = json.loads(await tofu.ok("show", "-json", "plan"))
    return [c for c in shown["resource_changes"] if c["change"]["actions"] not in (["no-op"], ["read"])]


@pytest.mark.timeout(180)
async def test_apply_then_nothing_to_change_then_grow_then_destroy_leaves_nothing(cloud: Cloud, tofu: Tofu) -> None:
    await tofu.ok("apply", "-no-color", "-input=false", "-auto-approve")
    assert (await _alive(cloud))["servers"] == 2
    assert await _plan(tofu) == []

    grown = await _plan(tofu, "-var=workers=2")
    assert {c["address"] for c in grown} == {"hcloud_server.node[2]", "hcloud_load_balancer_target.nodes[2]"}
    await tofu.ok("apply", "-no-color", "plan")
    assert (await _alive(cloud))["servers"] == 3

    await tofu.ok("destroy", "-no-color", "-input=false", "-auto-approve", "-var=workers=2")
    assert await _alive(cloud) == {}
    assert shutil.disk_usage(tofu.directory).free
