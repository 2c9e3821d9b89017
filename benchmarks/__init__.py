"""Statehouse beside its peers."""
