# Each location that is offered.

mock_provider "hcloud" {
  mock_resource "hcloud_load_balancer" {
    defaults = { id = "7001", ipv4 = "203.0.113.10", ipv6 = "2001:db8::10" }
  }
  mock_resource "hcloud_network" {
    defaults = { id = "7002" }
  }
  mock_resource "hcloud_network_subnet" {
    defaults = { id = "7002-10.0.1.0/24" }
  }
  mock_resource "hcloud_firewall" {
    defaults = { id = "7003" }
  }
  mock_resource "hcloud_ssh_key" {
    defaults = { id = "7004" }
  }
  mock_resource "hcloud_placement_group" {
    defaults = { id = "7005" }
  }
  mock_resource "hcloud_server" {
    defaults = { id = "7006", ipv4_address = "203.0.113.20" }
  }
}

variables {
  sovereign_id       = "demo_omani_works"
  fqdn               = "demo.omani.works"
  location           = "fsn1"
  network_zone       = "eu-central"
  control_plane_type = "cpx32"
  ssh_public_key     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIl0MRtnEPqXNZAVJnxO1/7tGhgeCUvcg4ed5yBfRb9r sovereign-admin@example"
  node_door_url      = "https://door.example"
  node_tokens = {
    "demo-omani-works-cp1" = "node-token-of-cp1-0001", "demo-omani-works-cp2" = "node-token-of-cp2-0002"
    "demo-omani-works-cp3" = "node-token-of-cp3-0003", "demo-omani-works-w1" = "node-token-of-w1-00004"
    "demo-omani-works-w2"  = "node-token-of-w2-00005"
  }
  hand_in_token   = "hand-in-token-0123456789"
  k3s_token       = "join-token-0123456789-0123456789-0123456789"
  zone_credential = { url = "https://dns.example/api/v1", api_key = "zone-key-0123456789" }
  organisation    = "Omantel's \"cloud\" team"
  admin_email     = "admin@omani.works"
  kit_source      = { url = "https://git.example/catalyst.git", path = "./deploy/kit", revision = "main" }
  acme_server     = "https://acme-staging-v02.api.letsencrypt.org/directory"
}

run "fsn1_is_made_in_its_own_zone" {
  variables {
    location     = "fsn1"
    network_zone = "eu-central"
  }
  assert {
    condition     = hcloud_network_subnet.nodes.network_zone == "eu-central" && alltrue([for s in hcloud_server.control_plane : s.location == "fsn1"])
    error_message = "network zone and location agree"
  }
  assert {
    condition     = hcloud_load_balancer.front.location == "fsn1"
    error_message = "the load balancer is where the servers are"
  }
}

run "nbg1_is_made_in_its_own_zone" {
  variables {
    location     = "nbg1"
    network_zone = "eu-central"
  }
  assert {
    condition     = hcloud_network_subnet.nodes.network_zone == "eu-central" && alltrue([for s in hcloud_server.control_plane : s.location == "nbg1"])
    error_message = "network zone and location agree"
  }
  assert {
    condition     = hcloud_load_balancer.front.location == "nbg1"
    error_message = "the load balancer is where the servers are"
  }
}

run "hel1_is_made_in_its_own_zone" {
  variables {
    location     = "hel1"
    network_zone = "eu-central"
  }
  assert {
    condition     = hcloud_network_subnet.nodes.network_zone == "eu-central" && alltrue([for s in hcloud_server.control_plane : s.location == "hel1"])
    error_message = "network zone and location agree"
  }
  assert {
    condition     = hcloud_load_balancer.front.location == "hel1"
    error_message = "the load balancer is where the servers are"
  }
}

run "ash_is_made_in_its_own_zone" {
  variables {
    location     = "ash"
    network_zone = "us-east"
  }
  assert {
    condition     = hcloud_network_subnet.nodes.network_zone == "us-east" && alltrue([for s in hcloud_server.control_plane : s.location == "ash"])
    error_message = "network zone and location agree"
  }
  assert {
    condition     = hcloud_load_balancer.front.location == "ash"
    error_message = "the load balancer is where the servers are"
  }
}

run "hil_is_made_in_its_own_zone" {
  variables {
    location     = "hil"
    network_zone = "us-west"
  }
  assert {
    condition     = hcloud_network_subnet.nodes.network_zone == "us-west" && alltrue([for s in hcloud_server.control_plane : s.location == "hil"])
    error_message = "network zone and location agree"
  }
  assert {
    condition     = hcloud_load_balancer.front.location == "hil"
    error_message = "the load balancer is where the servers are"
  }
}
