"""A self-contained page: its style stands in it, nothing is loaded, light and dark are the reader's choice."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

STYLE_FILE = Path(str(files("statehouse.scripts.load_test") / "page.css"))


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole page."""
    style = STYLE_FILE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>"
        + "\n".join(body)
        + "</main></body></html>\n"
    )


def heading(title: str, *lines: str) -> str:
    """Return the page's title with the lines below it."""
    return f"<h1>{escape(title)}</h1>" + "".join(f'<p class="dim">{escape(each)}</p>' for each in lines)


def tiles(figures: Sequence[tuple[str, str, str]]) -> str:
    """Return the figures that are looked at first: label, value, and ``good``, ``bad`` or nothing."""
    shown = "".join(
        f'<div class="tile {kind}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
        for label, value, kind in figures
    )
    return f'<div class="tiles">{shown}</div>'


def note(words: str, kind: str = "") -> str:
    """Return a remark that must not be missed."""
    return f'<div class="note {kind}">{escape(words)}</div>'


def section(title: str, content: str, *, keys: Sequence[tuple[str, str]] = (), remark: str = "") -> str:
    """Return a titled part; ``keys`` are a plot's colours (class and label)."""
    legend = "".join(
        f'<span class="key {kind}"><i{" class=box" if kind in ("bad", "band") else ""}></i>{escape(label)}</span>'
        for kind, label in keys
    ).replace("class=box", 'class="box"')
    below = f'<p class="dim small">{escape(remark)}</p>' if remark else ""
    return f'<section><div class="head"><h2>{escape(title)}</h2>{legend}</div>{content}{below}</section>'


def chart(svg: str) -> str:
    """Return a plot, which a narrow screen scrolls."""
    return f'<div class="chart">{svg}</div>'


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1, sums: Container[int] = ()
) -> str:
    """Return a table whose first ``texts`` columns are text, the others numbers; the rows ``sums`` stand out."""
    kinds = [' class="t"' if index < texts else "" for index in range(len(headings))]
    head = "".join(f"<th{kind}>{escape(each)}</th>" for kind, each in zip(kinds, headings, strict=True))
    lines = []
    for index, row in enumerate(rows):
        kind = ' class="sum"' if index in sums else ""
        cells = "".join(f"<td{kind}>{escape(each)}</td>" for kind, each in zip(kinds, row, strict=True))
        lines.append(f"<tr{kind}>{cells}</tr>")
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    """Return names with what is known of each."""
    rows = "".join(
        f'<tr><td class="t dim">{escape(name)}</td><td class="t wrap">{escape(value)}</td></tr>'
        for name, value in pairs.items()
    )
    return f"<table>{rows}</table>"
