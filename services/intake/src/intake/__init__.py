"""The door and the life cycle of Sovereigns."""
