"""What a load sends: a version's golden examples, or real inputs from a file, a folder or JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from statehouse.handlers.bodies.content import content_type_of
from statehouse.handlers.golden import read_golden
from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.load_test.plan import Body

GOLDENS = "goldens"
_JSON_LINES = (".jsonl", ".ndjson")


def read_inputs(sources: Sequence[str], golden_path: Path) -> list[Body]:
    """Return the bodies that ``sources`` mean, in order; without one the golden examples.

    A source is ``goldens``, a folder (each file a body, by name), a file of JSON lines (``.jsonl``: each line
    a body) or any other file (one body). Raises ArgumentError, GoldenMismatchError.
    """
    return [body for source in sources or (GOLDENS,) for body in _read(source, golden_path)]


def _read(source: str, golden_path: Path) -> list[Body]:
    if source == GOLDENS:
        return [Body(each.body, each.content_type) for each in read_golden(golden_path).examples]
    path = Path(source)
    try:
        contents = _contents(path)
    except OSError as error:
        raise ArgumentError(
            f"--input {source!r} cannot be read: {error.strerror}. Give a file with one request's body, a folder "
            "of them, a .jsonl with one on each line, or 'goldens'."
        ) from error
    if not contents:
        raise ArgumentError(f"--input {source!r} holds no request.")
    empty = [told for told, content in contents if not content]
    if empty:
        raise ArgumentError(f"--input: {', '.join(empty)} is empty; a request's body is not.")
    return [Body(content, content_type_of(content)) for _, content in contents]


def _contents(path: Path) -> list[tuple[str, bytes]]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        return [(str(file), file.read_bytes()) for file in files]
    if path.suffix.lower() in _JSON_LINES:
        lines = path.read_bytes().splitlines()
        return [(f"{path}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    return [(str(path), path.read_bytes())]
