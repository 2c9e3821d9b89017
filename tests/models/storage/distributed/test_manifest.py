"""What `.metadata` may say: torch's own, and what is wrong in it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint.metadata import BytesStorageMetadata, Metadata, MetadataIndex

from statehouse.models.storage.distributed.manifest import Manifest, Place, parse_manifest, shown
from statehouse.models.storage.inert.unpickler import Unpickler

Edit = Callable[[Any], object]


def parsed(content: bytes) -> Manifest:
    return parse_manifest(Unpickler(content).load())


@pytest.fixture
def problems_of(of_two: Path) -> Callable[[Edit], list[str]]:
    """Return what is wrong with `.metadata` once it was changed, as torch's own classes."""

    def problems(edit: Edit) -> list[str]:
        metadata = pickle.loads((of_two / "dcp" / ".metadata").read_bytes())
        edit(metadata)
        return parsed(pickle.dumps(metadata)).problems

    return problems


def test_tensors_and_values_are_where_torch_says(of_two: Path) -> None:
    content = (of_two / "dcp" / ".metadata").read_bytes()
    found, wanted = parsed(content), pickle.loads(content)
    assert found.problems == []
    assert found.tensors.keys() | found.values.keys() == wanted.state_dict_metadata.keys()
    for name, tensor in found.tensors.items():
        said = wanted.state_dict_metadata[name]
        assert (tensor.dtype, tensor.size) == (said.properties.dtype, tuple(said.size))
        assert tensor.bytes == said.size.numel() * said.properties.dtype.itemsize
        for chunk in tensor.chunks:
            stored = wanted.storage_data[MetadataIndex(name, chunk.offsets)]
            assert chunk.place == Place(stored.relative_path, stored.offset, stored.length)
    assert found.paths["model.0.weight"] == ("model", "0.weight")
    assert found.paths["extra.mixed.0"] == ("extra", "mixed", 0)


def test_without_a_planner_s_paths_names_stay_flat() -> None:
    found = parsed(pickle.dumps(Metadata({}, None, {})))
    assert (found.problems, found.paths) == ([], {})


@pytest.mark.parametrize("held", [{"state_dict_metadata": {}}, [], 3, Metadata({}), BytesStorageMetadata()])
def test_anything_else_is_no_manifest(held: object) -> None:
    assert len(parsed(pickle.dumps(held)).problems) == 1


def of_weight(**changes: object) -> Edit:
    return lambda metadata: vars(metadata.state_dict_metadata["model.0.weight"]).update(changes)


def of_chunk(**changes: object) -> Edit:
    return lambda metadata: vars(metadata.state_dict_metadata["model.0.weight"].chunks[0]).update(changes)


def of_place(**changes: object) -> Edit:
    return lambda metadata: vars(metadata.storage_data[MetadataIndex("model.0.weight", [0, 0])]).update(
        changes
    )


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (of_weight(size=torch.Size([4, 5])), "leave out 5 of 20"),
        (of_weight(size=torch.Size([2, 5])), "ends outside [2, 5]"),
        (of_weight(size=(3, -5)), "expected a dtype, a size"),
        (of_weight(size=(3, True)), "expected a dtype, a size"),
        (of_weight(size=(3, 2**63)), "expected a dtype, a size"),
        (of_weight(size=[1] * 65), "expected a dtype, a size"),
        (of_weight(size=3), "expected a dtype, a size"),
        (of_weight(properties=None), "expected a dtype"),
        (of_weight(chunks=()), "a list of chunks"),
        (of_weight(chunks=[3]), "expected chunks with offsets and sizes"),
        (of_chunk(offsets=torch.Size([1, 0])), "over each other"),
        (of_chunk(offsets=(0, -1)), "expected chunks with offsets and sizes"),
        (of_chunk(sizes=torch.Size([2, 4])), "leave out 2 of 15"),
        (lambda m: m.storage_data.pop(MetadataIndex("model.0.weight", [0, 0])), "1 of its 2 chunks"),
        (lambda m: m.storage_data.pop(MetadataIndex("epoch")), "nothing says where it is stored"),
        (lambda m: m.state_dict_metadata.update({"x": 3}), "expected the description of a tensor"),
        (lambda m: m.state_dict_metadata.update({3: BytesStorageMetadata()}), "3: expected a name"),
        (lambda m: m.state_dict_metadata.update({"x" * 1001: 3}), "expected a name of at most 1,000"),
        (lambda m: m.storage_data.update({3: 3}), "expected a name, and an offset"),
        (lambda m: m.storage_data.update({MetadataIndex("epoch"): 3}), "expected a file, an offset"),
        (of_place(offset=-1), "expected a file, an offset"),
        (of_place(offset=True), "expected a file, an offset"),
        (of_place(length=2.5), "expected a file, an offset"),
        (of_place(transform_descriptors=["stream.zstd"]), "through extensions ('stream.zstd')"),
        (lambda m: m.planner_data.update({"epoch": ()}), "expected a path"),
        (lambda m: m.planner_data.update({"epoch": ("a",) * 33}), "expected a path of at most 32"),
        (lambda m: m.planner_data.update({"epoch": (None,)}), "expected a path"),
    ],
)
def test_what_is_wrong_is_told(edit: Edit, words: str, problems_of: Callable[[Edit], list[str]]) -> None:
    assert words in "\n".join(problems_of(edit))


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x.distcp", "..", ".", "", "a/b.distcp", "a\\b.distcp", "a\0b", b"a.distcp", None],
)
def test_files_are_beside_the_manifest(name: object, problems_of: Callable[[Edit], list[str]]) -> None:
    assert any("'model.0.weight'" in each for each in problems_of(of_place(relative_path=name)))


def test_a_chunk_that_two_processes_have_counts_once(problems_of: Callable[[Edit], list[str]]) -> None:
    def double(metadata: Any) -> None:
        metadata.state_dict_metadata["model.0.weight"].chunks *= 2

    assert problems_of(double) == []


def test_what_is_shown_is_escaped_and_bounded() -> None:
    assert shown("a\x1b[31m\u202eb") == r"'a\x1b[31m\u202eb'"
    assert len(shown("\u202e" * 5_000)) <= 120
    assert shown([1]) == "a list"
