"""Watches each Sovereign's cluster and says what it sees, on change only."""
