"""Tensors by name: what a module expects, what a file has, and how they differ."""
