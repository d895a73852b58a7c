# What is refused before anything is made.

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

run "a_location_that_does_not_exist_is_refused" {
  command = plan
  variables {
    location = "mars1"
  }
  expect_failures = [var.location]
}

run "a_zone_of_another_location_is_refused" {
  command = plan
  variables {
    network_zone = "us-east"
  }
  expect_failures = [var.network_zone]
}

run "two_control_planes_is_refused" {
  command = plan
  variables {
    control_plane_count = 2
  }
  expect_failures = [var.control_plane_count]
}

run "an_unknown_family_of_servers_is_refused" {
  command = plan
  variables {
    control_plane_type = "m6i.xlarge"
  }
  expect_failures = [var.control_plane_type]
}

run "workers_without_a_type_is_refused" {
  command = plan
  variables {
    worker_count = 1
  }
  expect_failures = [var.worker_type]
}

run "too_many_workers_is_refused" {
  command = plan
  variables {
    worker_count = 51
    worker_type  = "cpx32"
  }
  expect_failures = [var.worker_count]
}

run "a_private_key_is_refused" {
  command = plan
  variables {
    ssh_public_key = "-----BEGIN OPENSSH PRIVATE KEY-----"
  }
  expect_failures = [var.ssh_public_key]
}

run "a_network_that_is_none_is_refused" {
  command = plan
  variables {
    ssh_allowed_cidrs = ["203.0.113.7"]
  }
  expect_failures = [var.ssh_allowed_cidrs]
}

run "an_id_that_is_not_the_name_is_refused" {
  command = plan
  variables {
    sovereign_id = "other_omani_works"
  }
  expect_failures = [var.sovereign_id]
}

run "a_short_join_token_is_refused" {
  command = plan
  variables {
    k3s_token = "guessable"
  }
  expect_failures = [var.k3s_token]
}

run "a_token_that_would_break_its_file_is_refused" {
  command = plan
  variables {
    hand_in_token = "hand in token with blanks"
  }
  expect_failures = [var.hand_in_token]
}

run "a_url_that_would_break_its_quotes_is_refused" {
  command = plan
  variables {
    node_door_url = "https://door.example/'$(id)"
  }
  expect_failures = [var.node_door_url]
}

run "a_server_without_a_node_token_is_refused" {
  command = plan
  variables {
    node_tokens = { "other" = "node-token-0123456789" }
  }
  expect_failures = [hcloud_server.control_plane]
}
