"""The index that is shipped is what the libraries that are installed build."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from statehouse.models.libraries.index import make as module
from statehouse.models.libraries.index.make import all_names, build, make
from statehouse.models.libraries.index.stored import read_index

SAMPLE = [
    "torchvision:resnet18",
    "torchvision:ssdlite320_mobilenet_v3_large",
    "timm:resnet18",
    "timm:vit_tiny_patch16_224",
    "timm:tf_efficientnet_b0",
    "timm:efficientnet_b0",
]
SHIPPED_OF = all(version(library) == known for library, known in read_index().libraries.items())


@pytest.fixture(scope="module")
def entries():
    return {name: entry for entry, each in enumerate(read_index().entries) for name in each.architectures}


@pytest.mark.skipif(not SHIPPED_OF, reason="the index is of other releases than are installed")
@pytest.mark.parametrize("name", SAMPLE)
def test_the_shipped_index_has_what_the_libraries_build(name, entries):
    assert read_index().tensors(entries[name]) == build(name).tensors


@pytest.mark.skipif(not SHIPPED_OF, reason="the index is of other releases than are installed")
def test_every_architecture_is_in_the_index_or_listed_with_a_reason(entries):
    assert {*entries, *read_index().unbuilt} == set(all_names())


def test_equals_are_one_group_torchvisions_first_with_what_differs():
    [group] = make(["timm:resnetblur18", "timm:resnet18", "torchvision:resnet18"]).entries
    assert group.architectures == ("torchvision:resnet18", "timm:resnet18", "timm:resnetblur18")
    assert (group.classes, group.task) == (1000, "image_classification")
    assert {"none": ("timm:resnet18",), "4": ("timm:resnetblur18",)} in [
        each.values for each in group.differences if each.what == "BlurPool2d"
    ]


def test_what_cannot_be_built_is_listed_with_the_reason():
    assert "no model 'absent'" in make(["timm:absent"]).unbuilt["timm:absent"]


def test_the_task_is_what_the_builder_is_for():
    tasks = {name: build(f"torchvision:{name}").task for name in ("lraspp_mobilenet_v3_large", "r3d_18")}
    assert tasks == {"lraspp_mobilenet_v3_large": "image_segmentation", "r3d_18": None}


def test_the_command_writes_the_file(monkeypatch, tmp_path, capsys):
    path = tmp_path / "index.npz"
    monkeypatch.setattr("sys.argv", ["make", "timm:absent", "torchvision:squeezenet1_1", "--to", str(path)])
    module.main()
    assert "1 architectures in 1 groups, 1 not built:\n  timm:absent: Unknown" in capsys.readouterr().out
    assert read_index(path).libraries["timm"] == version("timm")
