"""Training that stops and goes on: resume, keep, and start from other weights."""
