# The Sovereign's one address: web traffic to the node ports of its ingress, 6443 to the API servers. It exists before the
# servers, because its address is in their user data (certificate names, kubeconfig, DNS records).

locals {
  services = {
    http  = { listen = 80, destination = 31080 }
    https = { listen = 443, destination = 31443 }
    api   = { listen = 6443, destination = 6443 }
  }
}

resource "hcloud_load_balancer" "front" {
  name               = "${local.slug}-lb"
  load_balancer_type = "lb11"
  location           = var.location
  labels             = local.labels

  algorithm {
    type = "round_robin"
  }
}

resource "hcloud_load_balancer_network" "front" {
  load_balancer_id = hcloud_load_balancer.front.id
  network_id       = hcloud_network.private.id
  ip               = local.balancer_ip

  # Attaching fails while the network has no subnet.
  depends_on = [hcloud_network_subnet.nodes]
}

resource "hcloud_load_balancer_target" "control_plane" {
  for_each = local.control_planes

  load_balancer_id = hcloud_load_balancer.front.id
  type             = "server"
  server_id        = hcloud_server.control_plane[each.key].id
  use_private_ip   = true

  # The provider reads the load balancer once and waits on that copy: not yet attached, it gives up after half a minute.
  depends_on = [hcloud_load_balancer_network.front]
}

resource "hcloud_load_balancer_service" "front" {
  for_each = local.services

  load_balancer_id = hcloud_load_balancer.front.id
  protocol         = "tcp"
  listen_port      = each.value.listen
  destination_port = each.value.destination

  health_check {
    protocol = "tcp"
    port     = each.value.destination
    interval = 5
    timeout  = 3
    retries  = 2
  }

  # Both change the load balancer, which takes one change at a time.
  depends_on = [hcloud_load_balancer_network.front]
}
