"""Labelled tokens to labelled pieces of a text."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from numpy.typing import NDArray

from statehouse.handlers.bodies.schema import object_schema

SPAN_SCHEMA = object_schema(
    {
        "label": {"type": "string"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "start": {"type": "integer", "minimum": 0},
        "end": {"type": "integer", "minimum": 1},
    }
)


class Span(NamedTuple):
    """A piece of a text: from character `start` to before `end`."""

    label: str
    score: float
    start: int
    end: int


def read_tokens(tokens: NDArray[Any], labels: Sequence[str]) -> list[Span]:
    """The tokens of one text that are part of it, from float (tokens, 4): class, score, start, end."""
    return [
        Span(labels[int(place)], float(score), int(start), int(end))
        for place, score, start, end in tokens.tolist()
        if place >= 0
    ]


def join_tokens(tokens: Iterable[Span], ignored_labels: Sequence[str]) -> list[Span]:
    """Join neighbours of one label; `B-` begins another piece. The score is the mean of the tokens'.

    A token of an ignored label is left out, and what is on its two sides is not joined.
    """
    pieces: list[list[Span]] = []
    open_name = None
    for token in tokens:
        prefix, name = _taken_apart(token.label)
        if token.label in ignored_labels or name in ignored_labels:
            open_name = None
            continue
        if name != open_name or prefix == "B":
            pieces.append([])
        pieces[-1].append(token._replace(label=name))
        open_name = name
    return [_joined(piece) for piece in pieces]


def _taken_apart(label: str) -> tuple[str, str]:
    """`B-PER` → `B`, `PER`; `PER` → nothing, `PER`."""
    prefix, dash, name = label.partition("-")
    return (prefix, name) if dash and name and prefix in ("B", "I") else ("", label)


def _joined(piece: Sequence[Span]) -> Span:
    return Span(piece[0].label, fmean(token.score for token in piece), piece[0].start, piece[-1].end)
