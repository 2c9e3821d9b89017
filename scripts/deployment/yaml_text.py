"""YAML as people write it, read so that nothing is guessed: every scalar is its text, every line is known.

A plain YAML reader makes ``1.10`` the number 1.1, and keeps the last of two equal keys without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

Location = tuple[int | str, ...]
Plain = dict[str, "Plain"] | list["Plain"] | str | None

NULL_TAG = "tag:yaml.org,2002:null"


@dataclass
class ReadText:
    """Plain data with the line (from 1) on which each part of it starts."""

    data: Plain = None
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def line_of(self, location: Location) -> int | None:
        """Return the line of a location, or of the nearest part around it."""
        for length in range(len(location), -1, -1):
            if location[:length] in self.lines:
                return self.lines[location[:length]]
        return None


def read_text(text: str) -> ReadText:
    """Read YAML; what is wrong with the YAML itself is in ``problems``."""
    read = ReadText()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _Reader(read).visit(root, ())
    except yaml.YAMLError as error:
        read.problems.append(f"not YAML: {error}")
    except RecursionError:
        return ReadText(problems=["not YAML that anybody wrote: it is nested hundreds of times"])
    return read


class _Reader:
    """One pass over YAML's nodes."""

    def __init__(self, read: ReadText) -> None:
        self._read = read
        self._seen: set[int] = set()

    def visit(self, root: yaml.Node, location: Location) -> None:
        self._read.data = self._plain(root, location)

    def _plain(self, node: yaml.Node, location: Location) -> Plain:
        line = node.start_mark.line + 1
        self._read.lines.setdefault(location, line)
        if id(node) in self._seen:
            self._read.problems.append(f"line {line}: an anchor is used again; write the values out")
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(entry, (*location, index)) for index, entry in enumerate(node.value)]
        return None if node.tag == NULL_TAG else str(node.value)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> Plain:
        found: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._read.problems.append(f"line {line}: a key must be plain text")
                continue
            key = str(key_node.value)
            if key in found:
                self._read.problems.append(f"line {line}: {key!r} is said twice")
                continue
            self._read.lines[(*location, key)] = line
            found[key] = self._plain(value_node, (*location, key))
        return found
