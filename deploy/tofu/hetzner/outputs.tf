output "sovereign_id" {
  description = "Id of the Sovereign."
  value       = var.sovereign_id
}

output "control_plane_ips" {
  description = "Server name to its public and private IPv4 address."
  value = {
    for name, server in hcloud_server.control_plane : name => {
      public  = server.ipv4_address
      private = local.control_planes[name]
    }
  }
}

output "worker_ips" {
  description = "Server name to its public and private IPv4 address."
  value = {
    for name, server in hcloud_server.worker : name => {
      public  = server.ipv4_address
      private = local.workers[name]
    }
  }
}

output "load_balancer_ipv4" {
  description = "Where the Sovereign's names point."
  value       = hcloud_load_balancer.front.ipv4
}

output "load_balancer_ipv6" {
  description = "The same for IPv6."
  value       = hcloud_load_balancer.front.ipv6
}

output "load_balancer_id" {
  description = "Id of the load balancer."
  value       = hcloud_load_balancer.front.id
}

output "network_id" {
  description = "Id of the private network."
  value       = hcloud_network.private.id
}

output "servers" {
  description = "Server name to the id of the server."
  value = merge(
    { for name, server in hcloud_server.control_plane : name => server.id },
    { for name, server in hcloud_server.worker : name => server.id },
  )
}
