"""The operator's command, `statehouse`, and the supervisor that keeps the servers as desired."""
