"""Handlers: what a worker does with a request, from its bytes to its answer. One module per task."""
