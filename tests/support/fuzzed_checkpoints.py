"""Damages checkpoint files, and reads each: nothing but an error of ours may come of it, within a bound of memory.

    python -m tests.support.fuzzed_checkpoints COUNT SEED        # in the folder that it may write to; prints what came

It is a process of its own, as what it looks for would end it: a crash, or the memory's end.
"""

from __future__ import annotations

import argparse
import collections
import io
import random
import resource
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMORY_BYTES = 1024 * 1024 * 1024  # beyond what the process has when it begins
MAX_LOOKED_AT = 100_000  # elements of a tensor that are all looked at, so that a wrong address would show
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
SPLICES = [bytes([code]) for code in range(256)] + [
    b"J\xff\xff\xff\x7f",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"\x8a\xff" + b"\x7f" * 255,
    b"\x95" + b"\xff" * 8,
    b"r\xff\xff\xff\xff",
    b"(((((",
    b"]]]]]",
    b"cposix\nsystem\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"cbuiltins\nbytearray\n",
    b"h\x00",
    b"h\x01h\x02",
    b"R",
    b"b",
]


def fuzz(count: int, seed: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Damage and read `count` files in a process of its own."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.support.fuzzed_checkpoints",
        str(count),
        str(seed),
    ]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def wholes() -> list[bytes]:
    """Return files of every kind that the reader knows, in both forms and by several protocols."""
    import numpy
    import torch
    from torch import nn

    weight = torch.arange(12.0).reshape(3, 4)
    kinds: list[object] = [
        {
            "a": weight,
            "b": weight[1:],
            "c": weight.t(),
            "p": nn.Parameter(weight),
            "e": torch.ones(1).expand(9),
        },
        {"epoch": 3, "plain": [1, "a", None, True, 2.5, (1, 2), {3}], "state": nn.Linear(2, 2).state_dict()},
        {
            "coo": torch.eye(3).to_sparse(),
            "csr": torch.eye(3).to_sparse_csr(),
            "new": torch.ones(2).to(torch.uint16),
        },
        {"n": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "m": torch.empty(2, device="meta")},
        {
            "q": torch.quantize_per_tensor(weight, 0.1, 3, torch.qint8),
            "each": torch.quantize_per_channel(weight, torch.ones(3), torch.zeros(3), 0, torch.quint8),
        },
        {
            "array": numpy.arange(6.0).reshape(2, 3),
            "objects": numpy.array([1, "a"], dtype=object),
            "s": numpy.float32(1),
        },
        {
            "args": argparse.Namespace(lr=0.1),
            "model": nn.Sequential(nn.Linear(2, 2)),
            "c": collections.Counter("aab"),
        },
    ]
    files = []
    for held in kinds:
        for is_zip, protocol in ((True, 2), (True, 4), (False, 2), (False, 0), (False, 5)):
            file = io.BytesIO()
            torch.save(held, file, _use_new_zipfile_serialization=is_zip, pickle_protocol=protocol)
            files.append(file.getvalue())
    return files


def damaged(draw: random.Random, files: list[bytes]) -> bytes:
    """Return one of the files with damage in its bytes, or in its pickle alone."""
    whole = draw.choice(files)
    if not whole.startswith(b"PK") or draw.random() < 0.3:
        return changed(draw, whole)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as read, zipfile.ZipFile(out, "w") as write:
        for name in read.namelist():
            data = read.read(name)
            write.writestr(name, changed(draw, data) if name.endswith("data.pkl") else data)
    return out.getvalue()


def changed(draw: random.Random, data: bytes) -> bytes:
    """Return the bytes with one to three changes."""
    new = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        at = draw.randrange(len(new) or 1)
        match draw.choice((0, 0, 0, 1, 1, 2, 3, 4, 5, 5)):
            case 0:
                new[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                width = draw.choice((1, 2, 4, 8))
                new[at : at + width] = (draw.choice(NUMBERS) % 256**width).to_bytes(width, "little")
            case 2:
                new[at:at] = draw.choice(SPLICES)
            case 3:
                del new[at : at + draw.choice((1, 2, 8, 100))]
            case 4:
                start = draw.randrange(len(new) or 1)
                new[at:at] = new[start : start + draw.choice((4, 16, 64))]
            case _:
                if draw.random() < 0.2:
                    del new[at:]
                else:
                    new[at : at + 1] = bytes([new[at] ^ (1 << draw.randrange(8))]) if new else b""
    return bytes(new)


def look_at(held: object) -> Iterator[float]:
    """Compute with every tensor in what was read, records' contents among it."""
    import torch

    from statehouse.models.storage.inert.record import Record

    pending, seen = [held], set()
    while pending and len(seen) < 10_000:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor) and not item.is_meta and not item.is_nested:
            if item.layout is torch.strided and item.numel() <= MAX_LOOKED_AT:
                own = item.detach()
                yield float((own.int_repr() if own.is_quantized else own.clone()).numel())
        elif isinstance(item, Record):
            pending += [item.state, item.items, item.pairs, item.arguments]
        elif isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list | tuple):
            pending += item


def main() -> None:
    """Read as many damaged files as the arguments say."""
    import torch

    from statehouse.models.errors import CheckpointError
    from statehouse.models.storage.containers import read_container

    count, seed = map(int, sys.argv[1:])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    files, draw, path = wholes(), random.Random(seed), Path("damaged.pt")
    for data in files:
        path.write_bytes(data)
        list(look_at(read_container(path, "cpu")[1]))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, resource.RLIM_INFINITY))
    came: collections.Counter[str] = collections.Counter()
    for number in range(count):
        path.write_bytes(damaged(draw, files))
        try:
            _, held = read_container(path, "cpu")
        except CheckpointError as error:
            came[type(error).__name__] += 1
            if not str(error).isprintable() and not str(error).replace("\n", "").isprintable():
                raise ValueError(f"file {number}: {str(error)!r}") from error
            continue
        except BaseException:
            print(f"file {number} of seed {seed}", file=sys.stderr)
            raise
        list(look_at(held))
        came["read"] += 1
    print(dict(came))


if __name__ == "__main__":
    main()
