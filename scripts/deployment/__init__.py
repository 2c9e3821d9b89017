"""The deployment: its file, edits of it, the journal of changes."""
