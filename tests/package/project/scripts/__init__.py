"""The user's own package; nobody but the user has anything to look for in it."""

raise AssertionError("somebody imported the user's own scripts")
