"""What the reader of checkpoints reads, what it costs, and that nothing in a file runs."""
