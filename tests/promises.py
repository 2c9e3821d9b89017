"""README's table of promises, each with the test that would fail without it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| (.+) \| `(tests/[\w/]+\.py::\w+)` \|$", re.MULTILINE)


def section() -> str:
    return (ROOT / "README.md").read_text().partition("\n## Promises\n")[2].partition("\n## ")[0]


def promises() -> dict[str, str]:
    """Each promise, in README's words, with its test."""
    return dict(ROW.findall(section()))
