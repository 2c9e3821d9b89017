"""A published version in the form of another tool, verified in that form by its golden examples."""
