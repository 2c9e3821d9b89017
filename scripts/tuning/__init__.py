"""The best settings of a version on this machine: candidates, measured, one chosen, the reason shown."""
