"""A simulated Hetzner Cloud: projects, resources, actions, quota, capacity, rate limits and faults behind one HTTP API.

The real OpenTofu provider and the real SDK talk to it; nothing in it reaches Hetzner. Everything lives in memory and in
a journal of the sandbox's directory, addresses are loopback ones, and the load balancers really forward TCP.
"""
