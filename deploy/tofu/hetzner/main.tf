# One Sovereign: a private network, a load balancer in front of the control planes, and servers which configure themselves
# from their user data (user_data.tf). Every private address is fixed, so that nodes can be told each other's before they exist.

locals {
  slug   = replace(var.fqdn, ".", "-")
  labels = { "catalyst-zero/sovereign" = var.sovereign_id }

  ssh_key_id = var.ssh_key_id == 0 ? hcloud_ssh_key.operator[0].id : tostring(var.ssh_key_id)

  network_range = "10.0.0.0/16"
  subnet_range  = "10.0.1.0/24"
  balancer_ip   = "10.0.1.250"

  control_planes = {
    for n in range(var.control_plane_count) : "${local.slug}-cp${n + 1}" => cidrhost(local.subnet_range, 11 + n)
  }
  workers = {
    for n in range(var.worker_count) : "${local.slug}-w${n + 1}" => cidrhost(local.subnet_range, 101 + n)
  }
  # A spread group holds at most ten servers.
  worker_groups = { for n in range(var.worker_count) : "${local.slug}-w${n + 1}" => floor(n / 10) }

  architectures = toset([for type in compact([
    var.control_plane_type, var.worker_count > 0 ? var.worker_type : "",
  ]) : startswith(type, "cax") ? "arm" : "x86"])
}

data "hcloud_image" "node" {
  for_each = local.architectures

  name              = local.pins.image
  with_architecture = each.key
  most_recent       = true
}

# The cloud takes a key once in a project. One that is there already, whoever registered it, is used and left.
resource "hcloud_ssh_key" "operator" {
  count = var.ssh_key_id == 0 ? 1 : 0

  name       = "${local.slug}-key"
  public_key = trimspace(var.ssh_public_key)
  labels     = local.labels
}

resource "hcloud_network" "private" {
  name     = "${local.slug}-net"
  ip_range = local.network_range
  labels   = local.labels
}

resource "hcloud_network_subnet" "nodes" {
  network_id   = hcloud_network.private.id
  type         = "cloud"
  network_zone = var.network_zone
  ip_range     = local.subnet_range
}

# What is not listed is refused. Web and API traffic comes over the private network from the load balancer, to which these
# rules do not apply, so no public port of a node is needed for it.
resource "hcloud_firewall" "nodes" {
  name   = "${local.slug}-fw"
  labels = local.labels

  rule {
    description = "ping and path MTU discovery"
    direction   = "in"
    protocol    = "icmp"
    source_ips  = ["0.0.0.0/0", "::/0"]
  }

  dynamic "rule" {
    for_each = length(var.ssh_allowed_cidrs) > 0 ? [var.ssh_allowed_cidrs] : []
    content {
      description = "break-glass SSH"
      direction   = "in"
      protocol    = "tcp"
      port        = "22"
      source_ips  = rule.value
    }
  }
}

resource "hcloud_placement_group" "control_planes" {
  name   = "${local.slug}-pg"
  type   = "spread"
  labels = local.labels
}

resource "hcloud_placement_group" "workers" {
  count = ceil(var.worker_count / 10)

  name   = "${local.slug}-pg-w${count.index + 1}"
  type   = "spread"
  labels = local.labels
}

resource "hcloud_server" "control_plane" {
  for_each = local.control_planes

  name               = each.key
  location           = var.location
  server_type        = var.control_plane_type
  image              = data.hcloud_image.node[startswith(var.control_plane_type, "cax") ? "arm" : "x86"].id
  ssh_keys           = [local.ssh_key_id]
  firewall_ids       = [hcloud_firewall.nodes.id]
  placement_group_id = hcloud_placement_group.control_planes.id
  user_data          = local.user_data[each.key]
  labels             = merge(local.labels, { "catalyst-zero/role" = "control-plane" })

  public_net {
    ipv4_enabled = true
    ipv6_enabled = true
  }

  network {
    network_id = hcloud_network.private.id
    ip         = each.value
    alias_ips  = [] # left out, the provider plans a change on every run
  }

  # Attaching fails while the network has no subnet.
  depends_on = [hcloud_network_subnet.nodes]

  lifecycle {
    # Each of these would replace a running node: user data changes with every template and token, the image with every
    # new build, the key list when the operator's key is replaced. None is a reason to lose a node.
    ignore_changes = [user_data, image, ssh_keys]

    precondition {
      condition     = contains(nonsensitive(keys(var.node_tokens)), each.key)
      error_message = "node_tokens has no token for this server."
    }
    precondition {
      condition     = nonsensitive(length(local.user_data[each.key])) <= 32768
      error_message = "The rendered user data is over the cloud's limit of 32 KiB."
    }
  }
}

resource "hcloud_server" "worker" {
  for_each = local.workers

  name               = each.key
  location           = var.location
  server_type        = var.worker_type
  image              = data.hcloud_image.node[startswith(var.worker_type, "cax") ? "arm" : "x86"].id
  ssh_keys           = [local.ssh_key_id]
  firewall_ids       = [hcloud_firewall.nodes.id]
  placement_group_id = hcloud_placement_group.workers[local.worker_groups[each.key]].id
  user_data          = local.user_data[each.key]
  labels             = merge(local.labels, { "catalyst-zero/role" = "worker" })

  public_net {
    ipv4_enabled = true
    ipv6_enabled = true
  }

  network {
    network_id = hcloud_network.private.id
    ip         = each.value
    alias_ips  = []
  }

  depends_on = [hcloud_network_subnet.nodes]

  lifecycle {
    ignore_changes = [user_data, image, ssh_keys]

    precondition {
      condition     = contains(nonsensitive(keys(var.node_tokens)), each.key)
      error_message = "node_tokens has no token for this server."
    }
    precondition {
      condition     = nonsensitive(length(local.user_data[each.key])) <= 32768
      error_message = "The rendered user data is over the cloud's limit of 32 KiB."
    }
  }
}
