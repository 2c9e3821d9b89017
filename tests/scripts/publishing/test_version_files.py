"""What a version's folder holds; that a publish makes one of it is in test_publish.py."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.row_proof import RowProof
from statehouse.models import load_checkpoint
from statehouse.scripts.publishing import version_files
from statehouse.scripts.publishing.golden_examples import answer_candidates, collect_candidates
from statehouse.scripts.publishing.source import Identity
from statehouse.scripts.publishing.version_files import (
    describe_version,
    reading_record,
    write_checkpoint,
    write_golden_and_manifest,
)
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import RowProofRecord

IDENTITY = Identity("digits", "1.0", "d" * 64)
PROOF = RowProof(rows=4, tolerance=1e-4, sizes=[2, 3])


@pytest.fixture
def made(save_net, tmp_path):
    """A folder for the version, a checkpoint, its handler, and its golden examples."""
    folder = tmp_path / "digits-1.0"
    folder.mkdir()
    source = load_checkpoint(save_net(metadata={"by": "me"}, optimizer=None))
    handler = CheckpointHandler.from_checkpoint(source)
    kind, candidates = collect_candidates(handler, [], [])
    golden, problems = answer_candidates(handler, kind, candidates)
    assert problems == []
    return folder, source, handler, golden


def nobody(text):
    raise AssertionError(text)


def test_the_checkpoint_is_written_with_its_examples(made):
    folder, source, _, golden = made
    path = write_checkpoint(folder, source, golden)
    assert path == folder / "checkpoint.pt"
    written = load_checkpoint(path)
    assert list(written.header.examples) == golden.examples
    assert written.header.metadata["by"] == "me"
    assert all(torch.equal(value, source.state_dict[name]) for name, value in written.state_dict.items())


def test_in_shards_where_that_is_wanted(made):
    folder, source, _, golden = made
    assert write_checkpoint(folder, source, golden, max_shard_bytes=60).name == (
        "checkpoint.safetensors.index.json"
    )


def test_a_full_disk_is_told_as_what_it_is(made, monkeypatch):
    folder, source, _, golden = made

    def fail(*about, **more):
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(version_files, "save_checkpoint", fail)
    with pytest.raises(OSError, match="unexpected pos 64 vs 0") as caught:
        write_checkpoint(folder, source, golden)
    assert Path(caught.value.filename) == folder / "checkpoint.pt"


def test_the_manifest_says_all_that_there_is_to_know(made):
    folder, source, handler, golden = made
    write_checkpoint(folder, source, golden)
    written = load_checkpoint(folder / "checkpoint.pt")
    manifest = write_golden_and_manifest(folder, written, handler, golden, PROOF, IDENTITY, None, nobody)
    assert read_folder(folder).manifest == manifest
    assert (manifest.name, manifest.version, manifest.digest) == ("digits", "1.0", "d" * 64)
    assert (manifest.parameter_count, manifest.dtypes) == (4 * 3 + 3 + 3 * 2 + 2, ["float32"])
    assert manifest.macs_per_row == 4 * 3 + 3 * 2
    assert (manifest.frozen_speedup, manifest.labels) == (None, None)
    assert (manifest.golden.count, manifest.golden.source) == (1, "made")
    assert manifest.row_proof == RowProofRecord(rows=4, batch_sizes=[2, 3], tolerance=1e-4, row_by_row=False)
    for name, record in manifest.files.items():
        content = (folder / name).read_bytes()
        assert (record.sha256, record.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))


def test_a_module_that_cannot_be_watched_is_not_counted(made, monkeypatch):
    folder, source, handler, golden = made
    write_checkpoint(folder, source, golden)
    (folder / "golden.json").write_text("{}")

    def fail(run):
        raise ZeroDivisionError

    monkeypatch.setattr(version_files, "count_macs", fail)
    written = load_checkpoint(folder / "checkpoint.pt")
    assert (
        describe_version(folder, written, handler, golden, PROOF, IDENTITY, None, nobody).macs_per_row is None
    )


@pytest.mark.parametrize(
    ("measured", "expected", "last"),
    [
        (1.2345, 1.23, "measuring"),
        (None, None, "measuring"),
        (ValueError("no"), 0.0, "it cannot be frozen: no"),
    ],
)
def test_how_much_faster_a_heavy_module_is_frozen(made, monkeypatch, measured, expected, last):
    _, _, handler, _ = made

    def measure(handler):
        if isinstance(measured, Exception):
            raise measured
        return measured

    monkeypatch.setattr(version_files, "frozen_speedup", measure)
    told = []
    assert version_files._frozen_speedup(handler, told.append) == expected
    assert told[-1].startswith(last)
    monkeypatch.setattr(version_files, "MOST_FROZEN_BYTES", 1)
    assert version_files._frozen_speedup(handler, nobody) is None


def test_how_a_foreign_file_was_read_is_kept_and_of_our_own_there_is_nothing_to_say(made, tmp_path):
    _, source, _, _ = made
    assert reading_record(source.header) == {}
    torch.save({f"net.{name}": value for name, value in source.state_dict.items()}, tmp_path / "theirs.pt")
    about = {"architecture": "simple_net", "config": source.header.config}
    theirs = load_checkpoint(tmp_path / "theirs.pt", rename=[r"net\.(.*)=\1"], **about)
    record = reading_record(theirs.header)["reading"]
    assert (record["form"], record["weights"]) == ("bare", "model")
    assert record["renaming"]["rules"] == [{"rule": r"net\.(.*)=\1", "matched": 4}]
    assert (record["from"], record["ignored"]) == (None, [])


def test_where_the_weights_were_and_what_was_left_out_are_kept(made, tmp_path):
    _, source, _, _ = made
    held = {"best": dict(source.state_dict), "worst": source.state_dict | {"loss.weight": torch.ones(1)}}
    torch.save(held, tmp_path / "two.pt")
    about = {"architecture": "simple_net", "config": source.header.config}
    theirs = load_checkpoint(tmp_path / "two.pt", from_key="worst", ignore=[r"loss\..*"], **about)
    record = reading_record(theirs.header)["reading"]
    assert (record["from"], record["ignored"]) == ("worst", [r"loss\..*"])
