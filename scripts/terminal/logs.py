"""What `statehouse logs` prints: a line of a server, or of one request, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from statehouse.scripts.servers.log_file import read_line
from statehouse.scripts.terminal.console import out, print_json, seconds_text
from statehouse.scripts.terminal.escaping import Text

_STYLES = {"supervisor": "cyan", "torchserve": "magenta", "front": "blue", "worker": "green"}
_FAULT = 500


def server_line(line: str, *, as_json: bool) -> None:
    """Print a line of the servers' log."""
    time, source, text = read_line(line)
    if as_json:
        print_json({"time": time, "of": source, "text": text}, indent=None)
    elif source:
        out.print(Text.assemble((f"{time} ", "dim"), (f"{source} ", _STYLES.get(source, "")), text))
    else:
        out.print(Text(text))


def request_line(line: str, *, as_json: bool) -> None:
    """Print a line of the problems or of the requests; one that cannot be read as it is."""
    request = _read(line)
    if as_json:
        print_json({"text": line} if request is None else request, indent=None)
    elif request is None:
        out.print(Text(line))
    else:
        status = request.get("status")
        bad = not isinstance(status, int) or status >= _FAULT
        out.print(Text(_told(request), style="red" if bad else ""))


def _read(line: str) -> dict[str, Any] | None:
    try:
        request = json.loads(line)
    except ValueError:
        return None
    return request if isinstance(request, dict) else None


def _told(request: dict[str, Any]) -> str:
    seconds = request.get("seconds")
    shown: list[tuple[str, Callable[[Any], str]]] = [
        ("time", str),
        ("status", str),
        ("problem", str),
        ("method", str),
        ("path", str),
        ("version", lambda version: f"of {request.get('model')} {version}"),
        ("client", lambda client: f"by {client}"),
        ("request_id", lambda request_id: f"id {request_id}"),
        ("left_out_before", lambda count: f"({count} lines before it were left out)"),
    ]
    told = [tell(request[key]) for key, tell in shown if request.get(key) is not None]
    return " ".join([*told, *([seconds_text(seconds)] if isinstance(seconds, int | float) else [])])
