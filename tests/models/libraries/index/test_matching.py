"""Which architecture a bare state_dict is of: another head, other channels, a prefix, nothing that fits."""

from __future__ import annotations

import subprocess
import sys

import pytest

from statehouse.models.libraries.index import candidates
from statehouse.models.libraries.index import matching as module
from statehouse.models.libraries.index.stored import Entry, make_index

NET = {
    "conv1.weight": (8, 3, 7, 7),
    "bn1.weight": (8,),
    "bn1.bias": (8,),
    "layer1.weight": (16, 8, 3, 3),
    "layer2.weight": (16, 16, 3, 3),
    "fc.weight": (1000, 16),
    "fc.bias": (1000,),
}
DETECTOR = {
    "backbone.conv.weight": (8, 3, 3, 3),
    "backbone.norm.weight": (8,),
    "cls_logits.weight": (9 * 91, 8, 3, 3),
    "cls_logits.bias": (9 * 91,),
    "anchors": (0, 4),
}


@pytest.fixture(autouse=True)
def _small_index(monkeypatch):
    wide = NET | {"layer2.weight": (32, 16, 3, 3), "fc.weight": (1000, 32)}
    index = make_index(
        [
            (Entry(("torchvision:net", "timm:net"), 1000, "image_classification"), NET),
            (Entry(("timm:wide_net",), 1000), wide),
            (Entry(("torchvision:detector",), 91, "object_detection"), DETECTOR),
        ],
        {},
        {},
    )
    monkeypatch.setattr(module, "read_index", lambda: index)


def first(tensors):
    return candidates(tensors)[0]


def test_the_same_names_and_shapes_are_one_group_and_no_other():
    [group] = candidates(NET)
    assert group.architectures == ("torchvision:net", "timm:net")
    assert (group.score, group.fits, group.config, group.task) == (1.0, True, {}, "image_classification")


def test_another_number_of_classes_is_told_by_the_head():
    group = first(NET | {"fc.weight": (10, 16), "fc.bias": (10,)})
    assert group.fits
    assert group.config == {"num_classes": 10}
    assert 0.9 < group.score < 1


def test_a_detector_has_several_rows_for_each_class():
    group = first(DETECTOR | {"cls_logits.weight": (9 * 5, 8, 3, 3), "cls_logits.bias": (45,)})
    assert (group.fits, group.num_classes) == (True, 5)


def test_shapes_that_no_one_number_explains_are_told():
    group = first(NET | {"fc.weight": (10, 16), "fc.bias": (11,)})
    assert not group.fits
    assert len(group.reshaped) == 1


def test_other_channels_are_told_and_need_timm():
    group = first(NET | {"conv1.weight": (8, 1, 7, 7)})
    assert (group.fits, group.config, group.preferred) == (True, {"in_chans": 1}, "timm:net")


def test_another_size_of_the_filter_is_no_number_of_channels():
    group = first(NET | {"conv1.weight": (8, 3, 5, 5)})
    assert group.reshaped == ("conv1.weight",)


@pytest.mark.parametrize("prefix", ["module.", "model.", "anything.", "module.model.net."])
def test_a_prefix_on_all_names_is_taken_off(prefix):
    group = first({prefix + name: shape for name, shape in NET.items()})
    assert (group.fits, group.prefix) == (True, prefix)


def test_a_prefix_on_the_backbone_alone_is_taken_off():
    tensors = {f"backbone.{name}": shape for name, shape in NET.items() if not name.startswith("fc")}
    group = first(tensors | {"head.weight": (5, 16)})
    assert group.prefix == "backbone."
    assert (group.missing, group.unexpected) == (("fc.weight", "fc.bias"), ("head.weight",))


def test_a_prefix_that_the_architecture_itself_has_stays():
    assert (first(DETECTOR).prefix, first(DETECTOR).fits) == ("", True)


def test_a_head_with_names_of_its_own_leaves_the_right_group_first():
    tensors = {name: shape for name, shape in NET.items() if not name.startswith("fc")}
    group = first(tensors | {"fc.1.weight": (10, 16), "fc.1.bias": (10,)})
    assert group.architectures[0] == "torchvision:net"
    assert (group.fits, group.num_classes) == (False, None)


def test_a_file_without_a_head_has_no_classes():
    group = first({name: shape for name, shape in NET.items() if not name.startswith("fc")})
    assert (group.fits, group.num_classes) == (True, 0)


def test_a_size_of_none_is_explained_by_no_number():
    assert first(DETECTOR | {"anchors": (5, 4)}).reshaped == ("anchors",)


def test_many_layers_with_other_widths_are_no_channels(monkeypatch):
    stems = {f"other{n}.weight": (8, 3, 3, 3) for n in range(module.MOST_STEMS + 1)}
    monkeypatch.setattr(module, "read_index", lambda: make_index([(Entry(("timm:a",)), NET | stems)], {}, {}))
    group = first(NET | dict.fromkeys(stems, (8, 6, 3, 3)) | {"conv1.weight": (8, 6, 7, 7)})
    assert group.in_chans is None


def test_where_one_fits_those_that_are_near_are_none(monkeypatch):
    layers = {f"layer{n}.weight": (8, n, 3, 3) for n in range(40)}
    near = layers | {"layer7.weight": (8, 7, 5, 5)}
    index = make_index([(Entry(("timm:a",)), layers), (Entry(("timm:b",)), near)], {}, {})
    monkeypatch.setattr(module, "read_index", lambda: index)
    assert len(candidates(layers | {"layer9.weight": (8, 9, 1, 1)})) == 2
    [group] = candidates(layers)
    assert group.architectures == ("timm:a",)


def test_a_head_without_rows_is_no_number_of_classes():
    group = first(NET | {"fc.weight": (0, 16), "fc.bias": (0,)})
    assert (group.fits, group.num_classes) == (False, None)


def test_one_of_two_heads_that_is_missing_is_told(monkeypatch):
    both = NET | {"head_dist.weight": (1000, 16)}
    monkeypatch.setattr(module, "read_index", lambda: make_index([(Entry(("timm:a",), 1000), both)], {}, {}))
    group = first(NET)
    assert (group.missing, group.num_classes) == (("head_dist.weight",), None)


def test_a_group_that_is_too_far_is_no_candidate():
    few = {name: NET[name] for name in ("bn1.weight", "bn1.bias")}
    assert candidates(few) == []


def test_counters_that_old_files_lack_do_not_matter():
    assert first(NET | {"bn1.num_batches_tracked": ()}).score == 1.0


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"fc1.weight": (4, 4)},
        {"": ()},
        {"fc.bias": (0,)},
        {f"x{n}.weight": (2**62, 0) for n in range(99)},
    ],
    ids=["none", "a tutorial's", "no name", "no rows", "odd sizes"],
)
def test_what_is_near_nothing_has_no_candidate(tensors):
    assert candidates(tensors) == []


def test_no_library_is_imported_to_ask():
    code = (
        "import sys; from statehouse.models.libraries.index import candidates; candidates({'fc.weight': (10, 512)});"
        "sys.exit(bool({'timm', 'torchvision'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
