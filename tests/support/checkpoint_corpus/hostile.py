"""Files that run code when torch reads them with `weights_only=False`; their weights are as good as any.

What each would run makes a file called `ran` in the folder of the process, opens a socket, or imports a module.
"""

from __future__ import annotations

import builtins
import importlib
import os
import socket
import subprocess
from collections.abc import Callable

from tests.support.checkpoint_corpus.nets import net
from tests.support.checkpoint_corpus.registry import saved
from tests.support.checkpoint_corpus.values import beside

HARMLESS = "with_nothing_beside"
MARK = "ran"
UNUSED_MODULE = "this"  # a module that nothing imports, and whose import prints


class Calls:
    """Is pickled as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


CALLS = {
    "runs_a_shell": lambda: Calls(os.system, f"touch {MARK}"),
    "runs_a_process": lambda: Calls(subprocess.Popen, ("touch", MARK)),
    "evaluates": lambda: Calls(builtins.eval, f"open({MARK!r}, 'w')"),
    "executes": lambda: Calls(builtins.exec, f"import pathlib; pathlib.Path({MARK!r}).touch()"),
    "opens_a_file": lambda: Calls(builtins.open, MARK, "w"),
    "imports_a_module": lambda: Calls(importlib.import_module, UNUSED_MODULE),
    "opens_a_socket": lambda: Calls(socket.socket),
    "gets_an_attribute": lambda: Calls(builtins.getattr, Calls(importlib.import_module, "os"), "system"),
}
for name, call in CALLS.items():
    saved(f"hostile_{name}", lambda call=call: beside(beside=call()), like=HARMLESS)
    saved(f"hostile_{name}_in_old_form", lambda call=call: beside(beside=call()), like=HARMLESS, legacy=True)
    saved(f"hostile_{name}_in_protocol_4", lambda call=call: beside(beside=call()), like=HARMLESS, protocol=4)
saved("hostile_state", lambda: {"state_dict": net().state_dict(), "meter": _State()}, like=HARMLESS)


class _State:
    """Its state is a call."""

    def __getstate__(self) -> dict[str, object]:
        return {"held": Calls(os.system, f"touch {MARK}")}
