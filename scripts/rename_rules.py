"""The rules that ``--rename`` gives: each as it stands, or one a line of a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts.errors import ArgumentError


def read_rules(given: Iterable[str]) -> list[str]:
    """Return the rules, with ``@FILE`` replaced by the lines of that file; ``#`` begins a line of comment.

    Raises ArgumentError when a file cannot be read.
    """
    return [rule for each in given for rule in (_lines(each) if each.startswith("@") else [each])]


def _lines(given: str) -> list[str]:
    try:
        lines = Path(given[1:]).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(
            f"--rename {given!r}: the file cannot be read ({error}). Give PATTERN=REPLACEMENT, or a file "
            "with one such rule a line."
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
