"""Damaged files end in an error of ours or in what they hold, in bounded memory; nothing that a file names runs.

`make fuzz` damages 10,000.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import torch
from tests.support.checkpoint_corpus.audited import caused_by
from tests.support.checkpoint_corpus.registry import all_kinds, make_all
from tests.support.fuzzed_checkpoints import damaged, fuzz, wholes

from statehouse.models.errors import CheckpointError
from statehouse.models.storage.containers import read_torch

COUNT = int(os.environ.get("STATEHOUSE_FUZZ_REQUESTS", "300"))
SEED = 20_261_130


def test_no_damage_ends_otherwise_than_in_an_error_of_ours(tmp_path: Path) -> None:
    done = fuzz(COUNT, SEED, tmp_path)
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "'read': " in done.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["damaged.pt"]


@pytest.mark.filterwarnings("ignore")
def test_nothing_is_imported_called_or_opened_while_300_files_are_read(tmp_path: Path) -> None:
    draw, files = random.Random(SEED), wholes()
    hostile = [name for name in all_kinds() if name.startswith("hostile_")]
    paths = list(make_all(tmp_path, hostile).values())
    assert len(paths) > 20
    for number in range(300 - len(paths)):
        paths.append(tmp_path / f"{number}.pt")
        paths[-1].write_bytes(damaged(draw, files) if number % 2 else files[number % len(files)])
    (tmp_path / "run").mkdir()
    assert caused_by(paths, tmp_path / "run") == {}
    assert list((tmp_path / "run").iterdir()) == []


def test_an_old_file_of_few_bytes_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"a": torch.zeros(70_000)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    start = whole.rindex(b"\x70\x11\x01\x00\x00\x00\x00\x00")  # the number of elements before them
    path.write_bytes(whole[: start + 8].replace(b"\x70\x11\x01\x00", b"\x00\xca\x9a\x22"))
    assert path.stat().st_size < 500
    with pytest.raises(CheckpointError, match="its storages end at 2,322,"):
        read_torch(path, torch.device("cpu"))
