"""What becomes of freed memory: told by the allocator itself, in a process of its own, whose heap is small."""

import ctypes
import json
import subprocess
import sys

import pytest

from statehouse.handlers import base
from statehouse.models import TensorTask

# Takes 16 MiB and frees them: the blocks mapped for it alone, and how far the heap has grown after both.
TAKE_AND_FREE = """
import ctypes, json, sys
from statehouse.handlers.worker.allocator import keep_freed_memory

class Told(ctypes.Structure):  # mallinfo2(3)
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype, libc.free.argtypes = Told, ctypes.c_void_p, [ctypes.c_void_p]
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
before = libc.mallinfo2()
block = libc.malloc(16 << 20)
mapped = libc.mallinfo2().hblks - before.hblks
libc.free(block)
print(json.dumps([kept, mapped, libc.mallinfo2().arena - before.arena]))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc's allocator alone tells")
def test_memory_that_a_batch_frees_is_there_for_the_next() -> None:
    def told(how: str) -> list[int]:
        command = [sys.executable, "-c", TAKE_AND_FREE, how]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

    kept, mapped, grown = told("keep")
    assert (kept, mapped) == (True, 0)
    # What was freed is still the process's; some of it may lie where the heap was free before.
    assert grown > 8 << 20
    assert told("as shipped") == [None, 1, 0]  # mapped for it alone, and given back


def test_a_worker_keeps_it(make_version, load_worker, monkeypatch) -> None:
    told = []
    monkeypatch.setattr(base, "keep_freed_memory", lambda: told.append(1))
    config = {"input_size": 4, "hidden_size": 5, "num_classes": 3}
    load_worker(make_version("simple_net", config, TensorTask()), "statehouse.handlers.tensor")
    assert told == [1]
