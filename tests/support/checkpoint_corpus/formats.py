"""The file itself: containers, pickle protocols, byte order, suffixes."""

from __future__ import annotations

import pickle
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import save_file
from tests.support.checkpoint_corpus.forms import training
from tests.support.checkpoint_corpus.nets import Tied, filled, net, numbers
from tests.support.checkpoint_corpus.registry import kind, saved
from tests.support.checkpoint_corpus.values import beside
from torch.serialization import LoadEndianness


def _in_protocol(protocol: int, zip_file: bool) -> None:
    name = f"protocol_{protocol}{'' if zip_file else '_legacy'}"
    like = None if protocol else "protocol_2"  # its persistent ids are text, which torch.load refuses

    @kind(name, like=like)
    def write(path: Path) -> None:
        torch.save(
            beside(pair=(1, [numbers(2)]), text="ä", raw=b"\xff"), path,
            pickle_protocol=protocol, _use_new_zipfile_serialization=zip_file,
        )  # fmt: skip


for each in range(6):
    _in_protocol(each, zip_file=True)
    _in_protocol(each, zip_file=False)


@kind("legacy")
def legacy(path: Path) -> None:
    """As torch wrote before 1.6."""
    torch.save(training(), path, _use_new_zipfile_serialization=False)


@kind("legacy_whole_module", suffix=".pth")
def legacy_module(path: Path) -> None:
    """With the sources of its classes beside them, as torch wrote before 1.6."""
    torch.save(net(), path, _use_new_zipfile_serialization=False)


@kind("legacy_views")
def legacy_views(path: Path) -> None:
    """Views of one storage and two names of one tensor."""
    whole = numbers(6, 4)
    held = {"whole": whole, "rows": whole[2:4], "turned": whole.t(), "tied": filled(Tied()).state_dict()}
    torch.save(held, path, _use_new_zipfile_serialization=False)


@kind("big_endian")
def big_endian(path: Path) -> None:
    """As a machine of the other byte order writes: the record says so, and the tensors' bytes are turned."""
    held = {
        name: numbers(3, 4, dtype=dtype)
        for name, dtype in (("a", torch.float32), ("b", torch.float64), ("c", torch.int16))
    }
    turned = {name: tensor.clone() for name, tensor in held.items()}
    for tensor in turned.values():
        tensor.untyped_storage().byteswap(tensor.dtype)
    with mock.patch("torch.serialization.sys.byteorder", "big"):
        torch.save(turned, path)


@kind("little_endian_named")
def little_endian(path: Path) -> None:
    """With the record of the byte order that is the usual one."""
    assert LoadEndianness.LITTLE
    torch.save(net().state_dict(), path)


@kind("cloudpickle", needs=("cloudpickle",))
def cloudpickled(path: Path) -> None:
    """By another pickler, which writes functions by their code."""
    import cloudpickle

    torch.save(beside(schedule=lambda epoch: 0.9**epoch), path, pickle_module=cloudpickle)


@kind("safetensors", suffix=".safetensors")
def safetensors(path: Path) -> None:
    """By safetensors."""
    save_file(
        {name: tensor.contiguous() for name, tensor in net().state_dict().items()},
        path,
        metadata={"format": "pt"},
    )


@kind("torchscript_archive", refused="TorchScript")
def scripted(path: Path) -> None:
    """TorchScript: code and weights."""
    torch.jit.save(torch.jit.trace(net(), numbers(1, 3, 8, 8)), path)


@kind("exported_program", suffix=".pt2", refused="torch.export")
def exported(path: Path) -> None:
    """A graph of torch.export."""
    torch.export.save(torch.export.export(net(), (numbers(1, 3, 8, 8),)), path)


@kind("onnx", suffix=".onnx", needs=("onnx",), refused="ONNX")
def onnx_file(path: Path) -> None:
    """ONNX: a graph."""
    import onnx

    given, answered = (onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [given], [answered])
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())


@kind("plain_pickle", suffix=".pkl", refused="pickle")
def plain_pickle(path: Path) -> None:
    """A pickle that torch.save did not write."""
    path.write_bytes(pickle.dumps({"epoch": 3, "names": ["a"]}))


saved("no_suffix", lambda: net().state_dict(), suffix="")
saved("suffix_th", lambda: net().state_dict(), suffix=".th")
saved("suffix_bin", lambda: net().state_dict(), suffix=".bin")
saved("suffix_pkl", lambda: beside(epoch=2), suffix=".pkl")
saved("suffix_pth_tar", lambda: beside(epoch=2), suffix=".pth.tar")
saved("suffix_model", lambda: net(), suffix=".model")
