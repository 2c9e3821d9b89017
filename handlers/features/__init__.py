"""Rows of a table: features by name, in the forms that clients send."""
