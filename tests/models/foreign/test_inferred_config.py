"""What shapes say of a config is not asked: found by building, confirmed by building, and told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from statehouse.models.architecture import build_model, register_architecture
from statehouse.models.checkpoint import load_checkpoint
from statehouse.models.errors import CheckpointContentError
from statehouse.models.foreign.inferred_config import infer_config
from statehouse.models.tensors.state_dict import describe

SIMPLE = {"input_size": 4, "hidden_size": 5, "num_classes": 3}
CONVNET = {"in_channels": 1, "height": 28, "width": 28, "num_classes": 10, "channels": [4, 8]}


@register_architecture("test_inferred_own")
class Own(nn.Module):
    def __init__(self, width: int, num_classes: int, depth: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))
        self.head = nn.Linear(width, 2 * num_classes)


def tensors_of(name, config):
    return describe(build_model(name, config).state_dict())


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("simple_net", SIMPLE),
        ("mlp", {"input_size": 4, "hidden_sizes": [], "output_size": 2}),
        ("mlp", {"input_size": 4, "hidden_sizes": [5, 6], "output_size": 2}),
        ("mlp", {"input_size": 4, "hidden_sizes": [5], "output_size": 2, "normalisation": "batch"}),
        (
            "mlp",
            {
                "input_size": 4,
                "hidden_sizes": [5],
                "output_size": 2,
                "normalisation": "layer",
                "dropout": 0.5,
            },
        ),
        ("mlp", {"input_size": 4, "hidden_sizes": [5, 6], "output_size": 2, "dropout": 0.5}),
        ("convnet", CONVNET),
        ("text_bag", {"vocabulary_size": 50, "embedding_size": 4, "output_size": 2}),
        ("text_bag", {"vocabulary_size": 50, "embedding_size": 4, "output_size": 2, "hidden_size": 6}),
        ("test_inferred_own", {"width": 4, "num_classes": 3}),
    ],
)
def test_all_sizes_are_found(name, config):
    found = infer_config(name, {}, tensors_of(name, config))
    assert found.config == config
    assert found.problems == ()
    assert found.notes[0].startswith("inferred from the tensors: ")


def test_a_shared_prefix_is_no_hindrance():
    for name, config in (("simple_net", SIMPLE), ("convnet", CONVNET)):
        tensors = {f"net.model.{key}": info for key, info in tensors_of(name, config).items()}
        assert infer_config(name, {}, tensors).config == config


def test_what_no_tensor_says_is_told():
    mlp = {"input_size": 4, "hidden_sizes": [5], "output_size": 2}
    notes = infer_config("mlp", {}, tensors_of("mlp", mlp)).notes
    assert notes == (
        "inferred from the tensors: input_size 4, hidden_sizes [5], output_size 2",
        "activation: no tensor says which; relu unless --config says otherwise",
    )
    assert len(infer_config("mlp", {"activation": "gelu"}, tensors_of("mlp", mlp)).notes) == 1


def test_height_and_width_of_what_is_no_square_stay_open():
    found = infer_config("convnet", {}, tensors_of("convnet", {**CONVNET, "width": 56}))
    assert found.config == {"in_channels": 1, "num_classes": 10, "channels": [4, 8]}


def test_a_contradiction_is_one_sentence_with_the_config_to_paste():
    given = {**SIMPLE, "num_classes": 10}
    found = infer_config("simple_net", given, tensors_of("simple_net", SIMPLE))
    assert found.config == given
    assert found.problems == (
        "model_config.num_classes: the config says 10, the tensors 3; "
        """say --config '{"input_size": 4, "hidden_size": 5, "num_classes": 3}'""",
    )


def test_what_fits_nothing_stays_as_it_is():
    tensors = tensors_of("simple_net", SIMPLE)
    assert infer_config("no_such", {}, tensors).config == {}
    assert infer_config("mlp", {}, tensors).config == {}
    assert infer_config("simple_net", {}, {"fc1.weight": tensors["fc1.weight"]}).config == {}
    odd = {**tensors, "fc2.weight": tensors_of("simple_net", {**SIMPLE, "hidden_size": 6})["fc2.weight"]}
    assert infer_config("simple_net", {}, odd).config == {}


def test_the_libraries_classes_channels_and_sizes():
    timm = pytest.importorskip("statehouse.models.libraries.timm").timm
    vit, resnet = "timm:vit_tiny_patch16_224", "timm:resnet10t"
    small = describe(
        timm.create_model("vit_tiny_patch16_224", num_classes=2, depth=1, img_size=96).state_dict()
    )
    assert infer_config(vit, {"depth": 1}, small).config == {"depth": 1, "num_classes": 2, "img_size": 96}
    [problem] = infer_config(vit, {"depth": 1, "num_classes": 2, "img_size": 384}, small).problems
    assert problem.startswith("model_config.img_size: the config says 384, the tensors 96; say --config ")
    grey = describe(timm.create_model("resnet10t", num_classes=3, in_chans=1).state_dict())
    assert infer_config(resnet, {}, grey).config == {"num_classes": 3, "in_chans": 1}
    assert infer_config(resnet, {"num_classes": 3, "in_chans": 1}, grey).notes == ()


def test_a_file_is_loaded_without_a_config(tmp_path):
    module = build_model("simple_net", SIMPLE)
    torch.save({"model": module.state_dict()}, tmp_path / "net.pt")
    checkpoint = load_checkpoint(tmp_path / "net.pt", architecture="simple_net")
    assert checkpoint.header.config == SIMPLE
    assert checkpoint.header.notes == (
        "inferred from the tensors: input_size 4, hidden_size 5, num_classes 3",
    )
    rows = torch.randn(2, 4)
    assert torch.equal(checkpoint.build()(rows), module(rows))
    with pytest.raises(CheckpointContentError, match="the config says 9, the tensors 4"):
        load_checkpoint(tmp_path / "net.pt", architecture="simple_net", config={**SIMPLE, "input_size": 9})
