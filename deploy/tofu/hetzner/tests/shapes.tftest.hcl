# What is planned for each shape of a Sovereign, without a cloud.

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

run "one_node_is_one_server_behind_a_load_balancer" {
  assert {
    condition     = keys(hcloud_server.control_plane) == ["demo-omani-works-cp1"] && length(hcloud_server.worker) == 0
    error_message = "exactly one control plane"
  }
  assert {
    condition     = hcloud_load_balancer.front.load_balancer_type == "lb11" && one(hcloud_load_balancer_network.front[*].ip) == "10.0.1.250"
    error_message = "an lb11 with a fixed private address"
  }
  assert {
    condition     = { for s in hcloud_load_balancer_service.front : s.listen_port => s.destination_port } == { 80 = 31080, 443 = 31443, 6443 = 6443 }
    error_message = "80, 443 and the API"
  }
  assert {
    condition     = alltrue([for t in hcloud_load_balancer_target.control_plane : t.use_private_ip])
    error_message = "targets by private address"
  }
  assert {
    condition     = length(hcloud_firewall.nodes.rule) == 1 && one(hcloud_firewall.nodes.rule).protocol == "icmp"
    error_message = "without CIDRs nothing but ping comes in"
  }
  assert {
    condition     = hcloud_server.control_plane["demo-omani-works-cp1"].labels == tomap({ "catalyst-zero/sovereign" = "demo_omani_works", "catalyst-zero/role" = "control-plane" })
    error_message = "the labels of the Sovereign"
  }
  assert {
    condition     = output.control_plane_ips["demo-omani-works-cp1"] == { public = "203.0.113.20", private = "10.0.1.11" }
    error_message = "addresses by server name"
  }
}

run "one_worker_joins_through_the_load_balancer" {
  variables {
    worker_count = 1
    worker_type  = "cpx42"
  }
  assert {
    condition     = output.worker_ips["demo-omani-works-w1"].private == "10.0.1.101"
    error_message = "workers have fixed private addresses"
  }
  assert {
    condition     = strcontains(local.files["demo-omani-works-w1"]["/etc/catalyst/node.env"].content, "JOIN_ADDRESS='10.0.1.250'")
    error_message = "it joins by the private address of the load balancer"
  }
  assert {
    condition     = !contains(keys(local.files["demo-omani-works-w1"]), "/etc/catalyst/sovereign.yaml") && !strcontains(nonsensitive(local.files["demo-omani-works-w1"]["/etc/catalyst/secrets"].content), "hand-in")
    error_message = "a worker holds neither the zone credential nor the hand-in token"
  }
}

run "high_availability_is_three_that_join" {
  variables {
    control_plane_count = 3
    worker_count        = 2
    worker_type         = "cpx32"
    ssh_allowed_cidrs   = ["203.0.113.7/32"]
  }
  assert {
    condition     = length(hcloud_server.control_plane) == 3 && length(hcloud_server.worker) == 2
    error_message = "three control planes, two workers"
  }
  assert {
    condition     = [for name in keys(local.control_planes) : local.roles[name]] == ["first", "control-plane", "control-plane"]
    error_message = "only the first may begin a cluster"
  }
  assert {
    condition     = alltrue([for s in hcloud_server.control_plane : s.placement_group_id == 7005])
    error_message = "spread over hosts"
  }
  assert {
    condition = alltrue([for san in ["203.0.113.10", "10.0.1.250", "demo.omani.works", "10.0.1.11", "10.0.1.12", "10.0.1.13"] :
    contains(yamldecode(nonsensitive(local.k3s_config["demo-omani-works-cp2"]))["tls-san"], san)])
    error_message = "every address of the API is in its certificate"
  }
  assert {
    condition     = length(distinct([for name in keys(local.nodes) : nonsensitive(local.files[name]["/etc/catalyst/secrets"].content)])) == 5
    error_message = "every server has a token of its own"
  }
  assert {
    condition     = anytrue([for rule in hcloud_firewall.nodes.rule : rule.port == "22" && rule.source_ips == toset(["203.0.113.7/32"])])
    error_message = "SSH from the given network only"
  }
  assert {
    condition     = !strcontains(nonsensitive(local.files["demo-omani-works-cp2"]["/etc/catalyst/secrets"].content), "hand-in")
    error_message = "only the first control plane may hand in"
  }
}

run "arm_gets_the_arm_image" {
  variables {
    control_plane_type = "cax31"
    worker_count       = 1
    worker_type        = "cpx32"
  }
  assert {
    condition     = keys(data.hcloud_image.node) == ["arm", "x86"] && data.hcloud_image.node["arm"].with_architecture == "arm"
    error_message = "one image for each architecture in use"
  }
  assert {
    condition     = strcontains(local.files["demo-omani-works-cp1"]["/etc/catalyst/node.env"].content, "ARCHITECTURE='arm64'") && strcontains(local.files["demo-omani-works-w1"]["/etc/catalyst/node.env"].content, "ARCHITECTURE='amd64'")
    error_message = "binaries of the server's own architecture"
  }
}

run "a_kit_at_a_commit_is_pinned_to_it" {
  variables {
    kit_source = { url = "https://git.example/catalyst.git", path = "./deploy/kit", revision = "0123456789abcdef0123456789abcdef01234567" }
  }
  assert {
    condition     = local.kit[0].spec.ref == tomap({ commit = "0123456789abcdef0123456789abcdef01234567" })
    error_message = "a commit is a commit, not a branch"
  }
}
