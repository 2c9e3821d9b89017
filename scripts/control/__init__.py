"""The control socket: what commands ask, and what the supervisor answers."""
