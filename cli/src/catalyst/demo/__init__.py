"""Scenarios on the sandbox: each shows something, and checks its own outcome."""
