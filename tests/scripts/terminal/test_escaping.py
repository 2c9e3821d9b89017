"""What foreign text looks like on a terminal, whichever way it is printed."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from rich.status import Status
from rich.table import Table
from tests.scripts.terminal.hostile import HOSTILE, unprintable

from statehouse.scripts.terminal.console import print_json, say, say_message
from statehouse.scripts.terminal.escaping import Console, Text, escaped, escaped_json

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def terminal() -> Console:
    """A console that takes what it prints to for a terminal."""
    console = Console()
    console.file, console._force_terminal = io.StringIO(), True
    console.width = 100_000
    return console


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Käse 猫 ✓\u00a0\u3000x", "Käse 猫 ✓\u00a0\u3000x"),
        ("\x00\t\n\r\x1b[2J", r"\x00\t\n\r\x1b[2J"),
        ("\x7f\x85\x9b", r"\x7f\x85\x9b"),
        ("\u202eexe\u2069\u2028\u200b\ufeff", r"\u202eexe\u2069\u2028\u200b\ufeff"),
        ("\U000e0041\udc80", r"\U000e0041\udc80"),
        ("[red]x[/red] :smile: [/]", "[red]x[/red] :smile: [/]"),
    ],
)
def test_what_is_not_printable_is_visible(text: str, shown: str) -> None:
    assert escaped(text) == escaped(shown) == shown
    assert (Text("a ") + text).append(text).plain == f"a {shown}{shown}"


def test_json_is_of_the_same_value() -> None:
    value = {HOSTILE: [HOSTILE, "猫\u00a0"]}
    assert not unprintable(escaped_json(value))
    assert json.loads(escaped_json(value)) == value
    assert escaped_json(value, indent=None).count("\n") == 0
    assert "猫\u00a0" in escaped_json(value)


@pytest.mark.parametrize("way", ["string", "text", "rich text", "table", "say", "message", "status"])
def test_only_colours_reach_a_terminal(way: str, terminal: Console) -> None:
    from rich.text import Text as RichText

    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE, style="red")
    prints = {
        "string": lambda: terminal.print(HOSTILE),
        "text": lambda: terminal.print(Text.assemble(("✓ ", "green"), (HOSTILE, "bold"))),
        "rich text": lambda: terminal.print(RichText(HOSTILE, style="red")),
        "table": lambda: terminal.print(table),
        "say": lambda: say(HOSTILE, terminal),
        "message": lambda: say_message(("error: ", "bold red"), HOSTILE, terminal),
        "status": lambda: terminal.print(Status(Text(HOSTILE), console=terminal).renderable),
    }
    prints[way]()
    assert isinstance(terminal.file, io.StringIO)
    shown = _COLOURS.sub("", terminal.file.getvalue())
    assert not unprintable(shown)
    assert "[red]" in shown
    assert r"\x1b" in shown


def test_a_message_has_its_lines_and_anything_else_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb")
    say_message(("  ✗ ", "red"), "what\n  why\x1b", took="  0.1 s")
    assert capsys.readouterr().out.splitlines() == [r"a\nb", "  ✗ what", r"  why\x1b  0.1 s"]
    print_json({"a": "\x9b"}, indent=None)
    assert capsys.readouterr().out == '{"a": "\\u009b"}\n'


def test_every_character_that_is_not_printable_is_in_the_hostile_text() -> None:
    controls = {chr(code) for code in (*range(1, 32), *range(127, 160))}
    marks = {chr(code) for code in range(sys.maxunicode + 1) if 0x2000 <= code < 0x2070}
    assert controls | set(unprintable("".join(marks))) - {"\u2065"} <= set(HOSTILE)
