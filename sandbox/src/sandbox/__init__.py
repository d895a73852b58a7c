"""Stand-ins for what Catalyst Zero needs from outside: a cloud, machines and clusters, all simulated."""
