"""The commands, a module per kind of work."""
