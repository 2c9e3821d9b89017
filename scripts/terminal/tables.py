"""Tables for people: as wide as what is in them, never folded; narrow terminals get fewer columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from statehouse.scripts.terminal.escaping import Text

GAP = "  "
SHORTEST = 8  # cells are not shortened below this many characters

Cell = str | Text


@dataclass(frozen=True)
class Column:
    """A column; ``dispensable`` ones are left out, the highest first, where not all fit. 0 stays."""

    heading: str
    numeric: bool = False
    dispensable: int = 0


def table_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, width: int | None, headed: bool = True
) -> list[Text]:
    """Return one line per row below the headings, at most ``width`` columns wide; None: as wide as it takes.

    No line ends in spaces.
    """
    heading = [Text(column.heading, style="dim") for column in columns]
    cells = [[_text(cell) for cell in row] for row in rows]
    table = [heading, *cells] if headed else cells
    if not table:
        return []
    kept = _kept(columns, _widths(table), width)
    widths = _shortened([_widths(table)[i] for i in kept], [columns[i] for i in kept], width)
    return [_line([row[i] for i in kept], [columns[i] for i in kept], widths) for row in table]


def _text(cell: Cell) -> Text:
    return Text.assemble(cell)


def _widths(table: Sequence[Sequence[Text]]) -> list[int]:
    return [max(cell.cell_len for cell in column) for column in zip(*table, strict=True)]


def _kept(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> list[int]:
    kept = list(range(len(columns)))
    while width is not None and _total([widths[i] for i in kept]) > width:
        last = max(kept, key=lambda i: columns[i].dispensable)
        if not columns[last].dispensable:
            break
        kept.remove(last)
    return kept


def _shortened(widths: list[int], columns: Sequence[Column], width: int | None) -> list[int]:
    """Return widths that fit, the widest words made shorter; numbers stay whole."""
    words = [i for i, column in enumerate(columns) if not column.numeric]
    while width is not None and words and (excess := _total(widths) - width) > 0:
        widest = max(words, key=lambda i: widths[i])
        if widths[widest] <= SHORTEST:
            break
        widths[widest] -= min(excess, widths[widest] - SHORTEST)
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _line(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> Text:
    line = Text()
    for number, (cell, column, width) in enumerate(zip(cells, columns, widths, strict=True)):
        cell.truncate(width, overflow="ellipsis")
        cell.align("right" if column.numeric else "left", width)
        line.append(GAP if number else "").append(cell)
    line.rstrip()
    return line
