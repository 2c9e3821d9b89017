"""Texts: encoded, computed by their modules, traced back to characters."""
