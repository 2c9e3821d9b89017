"""Files whose names the libraries' own loaders translate, and arguments that JSON writes otherwise."""

from __future__ import annotations

import re

import pytest
import torch

from statehouse.models.architecture import WeightsFile, get_architecture, validate_config
from statehouse.models.building import build_for_serving, build_without_values
from statehouse.models.foreign.adaptation import named_as
from statehouse.models.libraries.torchvision_operators import import_torchvision
from statehouse.models.tensors.state_dict import expected_tensors

torchvision = import_torchvision()
timm = pytest.importorskip("timm")

CPU = torch.device("cpu")


def named(name, old_names, config=None):
    """Give the names of the architecture, each as `old_names` makes it, and return them as they are read."""
    module = build_without_values(name, config or {})
    expected = expected_tensors(module)
    given = {old_names(each): info for each, info in expected.items()}
    assert given.keys() != expected.keys()
    read, notes = named_as(name, module, given)
    assert read == expected
    return notes


def test_densenet_as_torchvision_has_published_it():
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))([12]\.)")
    [note] = named("torchvision:densenet121", lambda name: old.sub(r"\1.\2", name))
    assert "names translated as the loader of torchvision does: " in note
    assert "denselayer1.norm.1.weight → features.denseblock1.denselayer1.norm1.weight" in note


def test_vit_of_before_torchvision_0_13():
    def old(name):
        return name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2.")

    [note] = named("torchvision:vit_b_32", old, {"image_size": 64})
    assert "names translated as the module's own loading code does: " in note


def test_feature_pyramids_and_region_proposals_of_before():
    def old(name):
        name = re.sub(r"(fpn\.(?:inner|layer)_blocks\.\d+)\.0\.", r"\1.", name)
        return name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")

    [note] = named("torchvision:fasterrcnn_resnet50_fpn", old)
    assert note.startswith("18 names translated as the module's own loading code does: ")


def test_swin_of_an_older_timm():
    def old(name):
        name = re.sub(
            r"layers\.(\d)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", name
        )
        return name.replace("head.fc.", "head.")

    notes = named("timm:swin_tiny_patch4_window7_224", old)
    assert "names translated as the loader of timm does: " in notes[0]


def test_what_timm_leaves_out_is_left_out():
    name = "timm:swin_tiny_patch4_window7_224"
    module = build_without_values(name, {"depths": [1, 1, 1, 1], "embed_dim": 24, "num_heads": [1, 2, 3, 6]})
    expected = expected_tensors(module)
    mask = {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49, dtype=torch.long)}
    read, [note] = named_as(name, module, expected | mask)
    assert read == expected
    assert note.startswith("1 name left out as the loader of timm does: layers.0.")


def test_layer_norms_that_came_from_tensorflow():
    pytest.importorskip("transformers")

    def old(name):
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    config = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    [note] = named("transformers:AutoModel", old, config)
    assert "LayerNorm.gamma → embeddings.LayerNorm.weight" in note


def test_mnasnet_is_served_whether_or_not_its_file_has_metadata():
    state = torchvision.models.mnasnet0_5(num_classes=2).eval()
    rows = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for given in (state.state_dict(), dict(state.state_dict())):
            module, report = build_for_serving(
                "torchvision:mnasnet0_5", {"num_classes": 2}, given, device=CPU
            )
            assert report.ok
            assert torch.equal(module(rows), state(rows))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("timm:swin_tiny_patch4_window7_224", {"depths": [1, 1, 1, 1], "num_heads": [1, 2, 3, 6]}),
        ("timm:convnext_atto", {"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 8]}),
        ("timm:vit_tiny_patch16_224", {"img_size": [96, 64], "depth": 1}),
        ("torchvision:vit_b_32", {"image_size": 64}),
    ],
)
def test_tuples_are_lists_and_image_size_is_a_field(name, config):
    typed = validate_config(name, config)
    assert typed.model_dump(mode="json") == config
    build_without_values(name, config)


@pytest.mark.parametrize(
    ("name", "config", "size"),
    [
        ("timm:vit_tiny_patch16_224", {"img_size": [96, 64]}, (96, 64)),
        ("timm:vit_tiny_patch16_224", {"img_size": 96}, (96, 96)),
        ("torchvision:vit_b_32", {"image_size": 64}, (64, 64)),
    ],
)
def test_preprocessing_follows_the_size_of_images(name, config, size):
    file = WeightsFile(lambda: "0" * 64)
    known = get_architecture(name).known_task("image_classification", validate_config(name, config), file)
    assert (known.fields["height"], known.fields["width"]) == size
