from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from statehouse.models import build_model, load_pretrained, save_checkpoint
from statehouse.models.errors import PretrainedError

CONFIG = {"in_channels": 1, "height": 8, "width": 8, "num_classes": 10, "channels": [4, 6]}


def net(**other):
    return build_model("convnet", CONFIG | other)


@pytest.fixture
def pretrained(tmp_path):
    """A trained network of ten classes, and its file."""
    module = net().train()
    module(torch.randn(16, 1, 8, 8) * 3 + 1)  # so that its statistics are its own
    return module, save_checkpoint(tmp_path / "ten.pt", module, architecture="convnet", config=CONFIG)


def test_what_fits_is_loaded_and_the_rest_is_said(pretrained):
    source, path = pretrained
    module = net(num_classes=3)
    classifier = copy.deepcopy(module.classifier.state_dict())
    report = load_pretrained(module, path)
    for name, tensor in source.blocks.state_dict().items():
        assert torch.equal(module.blocks.state_dict()[name], tensor), name
    assert all(
        torch.equal(module.classifier.state_dict()[name], tensor) for name, tensor in classifier.items()
    )
    assert report.left == ("classifier.weight", "classifier.bias")
    assert [mismatch.name for mismatch in report.skipped] == ["classifier.weight", "classifier.bias"]
    assert len(report.loaded) == 12
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert str(report).splitlines() == [
        f"12 of 14 tensors from {path}",
        "  loaded: blocks.* (12 tensors, 294 values)",
        "  left at its initial value: classifier.* (2 tensors, 75 values)",
        "  skipped: classifier.weight is float32 [10, 24] in the file, float32 [3, 24] here",
        "  skipped: classifier.bias is float32 [10] in the file, float32 [3] here",
    ]


def test_patterns_choose(pretrained):
    _, path = pretrained
    report = load_pretrained(net(), path, include=["blocks.0.*", "classifier.*"], exclude="*.bias")
    assert report.loaded == (
        "blocks.0.0.weight",
        "blocks.0.1.weight",
        "blocks.0.1.running_mean",
        "blocks.0.1.running_var",
        "blocks.0.1.num_batches_tracked",
        "classifier.weight",
    )
    assert "blocks.0.1.bias" in report.not_chosen
    assert "  not chosen: blocks.0.1.bias, blocks.1.0.weight" in str(report)


def train_a_step(module):
    module.train()
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.5)
    module(torch.randn(16, 1, 8, 8)).square().mean().backward()
    optimizer.step()


def test_what_is_frozen_does_not_move_its_statistics_included(pretrained):
    source, path = pretrained
    module = net(num_classes=3)
    report = load_pretrained(module, path, include="blocks.*", freeze=True)
    assert report.frozen == tuple(f"blocks.{name}" for name, _ in module.blocks.named_parameters())
    assert report.held == ("blocks.0.1", "blocks.1.1")
    before = copy.deepcopy(module.classifier.state_dict())
    for each in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        train_a_step(each)
        for name, tensor in source.blocks.state_dict().items():
            assert torch.equal(each.blocks.state_dict()[name], tensor), name
        assert not torch.equal(each.classifier.weight, before["weight"])
    assert "  held at its loaded statistics: blocks.0.1, blocks.1.1" in str(report)


def test_what_is_thawed_trains_again(pretrained):
    source, path = pretrained
    module = net(num_classes=3)
    load_pretrained(module, path, include="blocks.*", freeze=True)
    train_a_step(module)
    module.requires_grad_(True)
    train_a_step(module)
    for name in ("1.0.weight", "1.1.running_mean", "1.1.num_batches_tracked"):
        assert not torch.equal(module.blocks.state_dict()[name], source.blocks.state_dict()[name]), name


def test_a_norm_layer_that_is_not_wholly_frozen_goes_on_counting(pretrained):
    source, path = pretrained
    module = net(num_classes=3)
    report = load_pretrained(module, path, include="blocks.*", exclude="blocks.1.1.bias", freeze=True)
    assert report.held == ("blocks.0.1",)
    train_a_step(module)
    assert not torch.equal(module.blocks[1][1].running_mean, source.blocks[1][1].running_mean)


def test_half_precision_and_wrapped_foreign_files(tmp_path):
    source = nn.Sequential(nn.Linear(3, 2)).half()
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "ddp.pt"
    )
    module = nn.DataParallel(nn.Sequential(nn.Linear(3, 2)))
    report = load_pretrained(module, tmp_path / "ddp.pt", freeze=True)
    assert report.loaded == report.frozen == ("0.weight", "0.bias")
    assert module.module[0].weight.dtype == torch.float32
    assert torch.equal(module.module[0].weight, source[0].weight.float())


def test_tied_weights_are_loaded_under_either_name(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

    torch.save({"embed.weight": torch.ones(5, 3)}, tmp_path / "tied.pt")
    module = Tied()
    report = load_pretrained(module, tmp_path / "tied.pt", freeze=True)
    assert report.left == ()
    assert module.head.weight is module.embed.weight
    assert torch.equal(module.head.weight, torch.ones(5, 3))


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (
            {"include": "block.*", "exclude": "head.*"},
            r"include: 'block\.\*' matches no tensor.*did you mean 'blocks",
        ),
        ({"include": "blocks.*", "exclude": "*"}, "no tensor is chosen"),
        ({"include": "classifier.*"}, "no tensor fits:\n.*wrong shape: classifier.weight"),
    ],
)
def test_what_would_load_nothing_is_refused_and_changes_nothing(pretrained, patterns, expected):
    module = net(num_classes=3)
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(PretrainedError, match=f"(?s){expected}"):
        load_pretrained(module, pretrained[1], **patterns, freeze=True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())
