"""The cases of which_architecture: what is changed, and when a find is right."""

import io

import pytest
from rich.console import Console

from benchmarks.which_architecture import CHANGES, Case, changed, choose, table
from statehouse.models.libraries.index import Group


def test_the_same_seed_chooses_the_same():
    assert choose(5, 1) == choose(5, 1) != choose(5, 2)


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_seen_in_the_names_or_shapes(change):
    done, tensors = changed("timm:resnet18", change, 7)
    assert done == change
    assert {
        "num_classes": tensors.get("fc.weight") == (7, 512) and "conv1.weight" in tensors,
        "prefix": tensors.get("module.model.fc.bias") == (7,),
        "in_chans": tensors.get("conv1.weight") == (64, 1, 7, 7),
        "own head": "fc.weight" not in tensors and tensors.get("my_head.1.weight") == (7, 256),
        "no head": "fc.weight" not in tensors and len(tensors) == 100,
    }[change]


def test_torchvision_takes_no_other_channels():
    assert changed("torchvision:resnet18", "in_chans", 7)[0] == "num_classes"


@pytest.mark.parametrize(
    ("found", "right", "told"),
    [
        ((), False, False),
        ((Group(("timm:b",), 1, 1, 1, num_classes=7),), False, False),
        ((Group(("timm:b", "timm:a"), 1, 1, 1, num_classes=6),), True, False),
        ((Group(("timm:a",), 1, 1, 1, num_classes=7),), True, True),
    ],
)
def test_a_find_is_right_when_its_group_comes_first(found, right, told):
    case = Case("timm:a", "num_classes", 7, found, 0.01)
    assert (case.is_right, case.is_told) == (right, told)
    out = Console(file=io.StringIO(), width=100)
    out.print(table([case]))
    assert f"{right:.1%}" in out.file.getvalue()
