"""Part of Catalyst Zero."""
