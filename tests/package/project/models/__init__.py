"""The user's own package, called as one of ours once was."""

WIDTH = 3
