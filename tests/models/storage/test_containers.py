from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from statehouse.models.errors import CheckpointContentError, CheckpointUnreadableError
from statehouse.models.storage.containers import read_container, write_container

SIZE, STRIDE = b"K\x02K\x03\x86", b"K\x03K\x01\x86"  # (2, 3) and (3, 1), as torch.save pickles them
NUMEL = b"cpuq\x06K\x06t"
BILLION = b"J\x00\xca\x9a\x3b"


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.pt"
    torch.save({"a": torch.arange(6.0).reshape(2, 3)}, path)
    return path


@pytest.mark.parametrize(
    ("replace", "error"),
    [
        (((SIZE, BILLION + b"K\x03\x86"), (STRIDE, b"K\x00K\x00\x86")), CheckpointContentError),
        (((SIZE, BILLION + b"K\x03\x86"),), CheckpointContentError),
        (((NUMEL, b"cpuq\x06" + BILLION + b"t"),), CheckpointContentError),
        (((NUMEL, b"cpuq\x06K\x20t"),), CheckpointContentError),
        (((NUMEL, b"cpuq\x06K\x02t"),), CheckpointContentError),
        (((NUMEL, b"cpuq\x06J\xff\xff\xff\xfft"),), CheckpointUnreadableError),
        (((b"QK\x00K\x02", b"QK\x64K\x02"),), CheckpointContentError),
        (((SIZE, b"J\xff\xff\xff\xffK\x03\x86"),), CheckpointContentError),
    ],
    ids=["stride 0", "size", "storage", "storage+", "storage-", "storage<0", "offset", "size<0"],
)
def test_shapes_that_the_records_do_not_hold_are_refused(saved, tmp_path, rewrite_archive, replace, error):
    hostile = rewrite_archive(saved, tmp_path / "hostile.pt", replace=replace)
    with pytest.raises(error):
        read_container(hostile, "cpu")


def test_a_tensor_saved_on_a_gpu_loads_on_the_cpu(saved, tmp_path, rewrite_archive):
    tag = ((b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:3"),)
    tagged = rewrite_archive(saved, tmp_path / "gpu.pt", replace=tag)
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(tagged, weights_only=True)
    _, held = read_container(tagged, "cpu")
    assert held["a"].device.type == "cpu"
    assert held["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_reading_maps_the_file_and_does_not_copy_it(tmp_path):
    tensors = {"a": torch.zeros(8_000_000)}
    write_container(tmp_path / "x.pt", "pt", tensors, {})
    write_container(tmp_path / "x.safetensors", "safetensors", tensors, {})
    for name in ("x.pt", "x.safetensors"):
        _, held = read_container(tmp_path / name, "cpu")
        address = held["model_state_dict"]["a"].data_ptr()
        assert _mapped_file(address) == str(tmp_path / name)


def _mapped_file(address: int) -> str:
    with Path("/proc/self/maps").open() as maps:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if start <= address < end:
                return line.split(maxsplit=5)[5].strip()
    return ""


def test_changing_a_mapped_tensor_does_not_change_the_file(tmp_path):
    for name, container in (("x.pt", "pt"), ("x.safetensors", "safetensors")):
        write_container(tmp_path / name, container, {"a": torch.zeros(3)}, {})
        before = (tmp_path / name).read_bytes()
        _, held = read_container(tmp_path / name, "cpu")
        held["model_state_dict"]["a"].fill_(7)
        assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("container", ["pt", "safetensors"])
def test_tied_tensors_are_stored_once_and_come_back_tied(tmp_path, container):
    path = tmp_path / f"x.{container}"
    weight = torch.randn(500, 20)
    write_container(path, container, {"a": weight, "b": weight, "empty": torch.empty(0)}, {"k": 1})
    assert path.stat().st_size < 2 * weight.nbytes
    _, held = read_container(path, "cpu")
    tensors = held["model_state_dict"]
    assert held["k"] == 1
    assert list(tensors["a"].shape) == list(tensors["b"].shape) == [500, 20]
    assert torch.equal(tensors["b"], weight)
    assert tensors["a"].data_ptr() == tensors["b"].data_ptr()
    assert tensors["empty"].numel() == 0


@pytest.mark.parametrize(
    "dtype", ["float64", "bfloat16", "int8", "bool", "uint16", "float8_e4m3fn", "complex64"]
)
def test_both_containers_hold_every_usual_dtype(tmp_path, dtype):
    tensor = torch.tensor([[1, 0], [1, 1]]).to(getattr(torch, dtype))
    for name, container in (("x.pt", "pt"), ("x.safetensors", "safetensors")):
        write_container(tmp_path / name, container, {"a": tensor}, {})
        read = read_container(tmp_path / name, "cpu")[1]["model_state_dict"]["a"]
        assert read.dtype == tensor.dtype
        assert torch.equal(read.view(torch.uint8), tensor.view(torch.uint8))


def test_a_dtype_that_safetensors_cannot_hold_is_refused(tmp_path):
    with pytest.raises(CheckpointContentError, match=r"save as \.pt:\n  a: is torch\.complex128"):
        write_container(
            tmp_path / "x.safetensors", "safetensors", {"a": torch.zeros(1, dtype=torch.complex128)}, {}
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("plain", "error", "expected"),
    [
        ("{", CheckpointUnreadableError, "no JSON"),
        ("[1]", CheckpointUnreadableError, "expected a JSON object"),
        ('{"a":NaN}', CheckpointUnreadableError, "NaN is not JSON"),
        ("[" * 100_000, CheckpointUnreadableError, "no JSON"),
        ('{"ties":{"b":"c"}}', CheckpointContentError, "no tensor 'c'"),
        ('{"ties":[1]}', CheckpointContentError, "expected names by name"),
    ],
)
def test_broken_plain_data_in_safetensors(tmp_path, plain, error, expected):
    save_file({"a": torch.ones(1)}, tmp_path / "x.safetensors", metadata={"statehouse": plain})
    with pytest.raises(error, match=expected):
        read_container(tmp_path / "x.safetensors", "cpu")


def test_pickled_data_that_unfolds_without_end_is_refused(tmp_path):
    bomb: list[object] = []
    for _ in range(20):
        bomb = [bomb] * 10
    torch.save({"a": torch.ones(1), "metadata": bomb}, tmp_path / "x.pt")
    with pytest.raises(CheckpointContentError, match="nested beyond"):
        read_container(tmp_path / "x.pt", "cpu")


def test_a_dict_cannot_shadow_its_own_methods(tmp_path):
    hostile = OrderedDict(a=torch.ones(1))
    hostile.get = hostile.values = 1
    hostile._metadata = {"": {"version": 2}}
    torch.save({"metadata": hostile}, tmp_path / "x.pt")
    _, held = read_container(tmp_path / "x.pt", "cpu")
    assert vars(held["metadata"]) == {"_metadata": {"": {"version": 2}}}
