"""Text that does to a terminal whatever text can do to one."""

from __future__ import annotations

import unicodedata

FORGED = "✓ forged"
CONTROLS = "".join(map(chr, (*range(1, 32), *range(127, 160))))
MARKS = "\u00ad\u061c\u180e\ufeff\ufff9\U000e0041" + "".join(
    chr(code) for code in range(0x2000, 0x2070) if unicodedata.category(chr(code)) in ("Cf", "Zl", "Zp")
)
HOSTILE = f"[red]x[/red]:smile:[/]\x1b]0;title\x07\x1b[2J{CONTROLS}{MARKS}\n{FORGED}"
IN_ONE_LINE = HOSTILE.replace("\n", " ")


def unprintable(shown: str) -> list[str]:
    """Return what of a command's output is neither printable, nor a space, nor the end of a line."""
    return [
        character
        for character in shown
        if not character.isprintable() and character != "\n" and unicodedata.category(character) != "Zs"
    ]
