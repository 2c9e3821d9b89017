"""The operator's command, `statehouse`, and the supervisor that keeps the servers as desired."""

from importlib.metadata import version

__version__ = version("statehouse")
