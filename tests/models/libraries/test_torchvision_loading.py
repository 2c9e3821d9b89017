"""What torchvision sets only when it loads its own weights is set here too, by the file's SHA-256."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from statehouse.models.libraries.torchvision import torchvision
from statehouse.models.libraries.torchvision_loading import EPSILON, SETTINGS
from statehouse.scripts.publishing.inspect import inspect as inspect_file
from statehouse.scripts.publishing.source import Description, read_source
from statehouse.scripts.store import LocalStore

LISTED = torchvision.models.list_models()


def source_of(name: str) -> str:
    return inspect.getsource(inspect.unwrap(torchvision.models.get_model_builder(name)))


def test_the_settings_are_those_of_torchvisions_own_functions() -> None:
    assert {name for name in LISTED if "overwrite_eps" in source_of(name)} == {
        name for name, setting in SETTINGS.items() if setting.field == EPSILON
    }
    # The quantised ones hold tensors of 8 bits, which are refused.
    transforming = {name for name in LISTED if '"transform_input"' in source_of(name)}
    assert {name for name in transforming if not name.startswith("quantized")} == {
        name for name, setting in SETTINGS.items() if setting.field == "transform_input"
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_every_published_file_is_known_by_its_digest(name: str) -> None:
    setting = SETTINGS[name]
    for weights in torchvision.models.get_model_weights(name):
        start = weights.url.rpartition("-")[2].partition(".")[0]
        first = weights.name in ("COCO_V1", "IMAGENET1K_V1")
        assert setting.value_for(start + "0" * 56) == (setting.value if first else setting.usual), weights


def as_torchvision_loads(name: str, state_dict: dict[str, torch.Tensor], home: Path) -> nn.Module:
    """Let torchvision's own function load `state_dict`, as the file that it would have downloaded."""
    weights = next(iter(torchvision.models.get_model_weights(name)))
    cache = home / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(state_dict, cache / weights.url.rpartition("/")[2])
    loaded: nn.Module = torchvision.models.get_model(name, weights=weights).eval()
    return loaded


def some_weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Values of batch norms that were trained, so small that their epsilon shows; counted by none that is frozen."""
    torch.manual_seed(0)
    state_dict = {name: value for name, value in module.state_dict().items() if "num_batches" not in name}
    for name, value in state_dict.items():
        if name.endswith("running_var"):
            value.uniform_(2e-5, 1e-4)
            state_dict[name.replace("running_var", "weight")].fill_(5e-3)
    return state_dict


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], None]:
    """Make a file one that torchvision has published for an architecture."""

    def add(name: str, file: Path) -> None:
        starts = (hashlib.sha256(file.read_bytes()).hexdigest()[:8],)
        monkeypatch.setitem(SETTINGS, name, replace(SETTINGS[name], digest_starts=starts))

    return add


CASES: dict[str, tuple[dict[str, Any], str, tuple[int, ...]]] = {
    "googlenet": ({"init_weights": False}, "image_classification", (2, 3, 96, 96)),
    "retinanet_resnet50_fpn": ({}, "object_detection", (1, 3, 64, 64)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_torchvisions_own_computes_as_torchvision_loads_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: Callable[[str, Path], None]
) -> None:
    config, task, shape = CASES[name]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    fixed = {"weights_backbone": None} if task == "object_detection" else {}
    state_dict = some_weights(torchvision.models.get_model(name, weights=None, **fixed, **config))
    own = as_torchvision_loads(name, state_dict, tmp_path)
    file = tmp_path / "weights.pth"
    torch.save(state_dict, file)
    description = Description(f"torchvision:{name}", config, task)

    unknown = read_source(file, description)
    [note] = [each for each in unknown.header.notes if each.startswith(f"{SETTINGS[name].field}: ")]
    assert "this file does not say where it began" in note
    known(name, file)
    source = read_source(file, description)
    [note] = [each for each in source.header.notes if each.startswith(f"{SETTINGS[name].field}: ")]
    assert "as torchvision loads this file of its own" in note
    assert source.header.config == config | {SETTINGS[name].field: SETTINGS[name].value}

    images = torch.rand(shape)
    with torch.inference_mode():
        given, right, wrong = (answer(each, images) for each in (source.build(), own, unknown.build()))
    assert torch.allclose(given, right, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(wrong, right, atol=1e-3, rtol=1e-2)


def answer(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What the setting changes; through all layers of random weights nothing of it would be left."""
    if hasattr(module, "backbone"):
        features: torch.Tensor = module.backbone(images)["0"]  # type: ignore[operator, index]
        return features
    taken: list[torch.Tensor] = []
    hook = module.conv1.register_forward_pre_hook(lambda _, given: taken.append(given[0]))  # type: ignore[operator]
    module(images)
    hook.remove()
    return taken[0]


def bare(tmp_path: Path, name: str, *, counted: bool) -> Path:
    """A file with the names that tell, and no more."""
    tensors = {"backbone.body.bn1.running_var": torch.ones(1)}
    if counted:
        tensors["backbone.body.bn1.num_batches_tracked"] = torch.tensor(5)
    torch.save(tensors, tmp_path / f"{name}.pth")
    return tmp_path / f"{name}.pth"


def told_of(path: Path, name: str, config: dict[str, Any]) -> list[str]:
    found = inspect_file(
        str(path),
        store=LocalStore(path.parent),
        architecture=f"torchvision:{name}",
        config=config,
        task="tensor",
    )
    return [note for note in found.facts["read"] if note.startswith(SETTINGS[name].field)]


def test_inspect_says_what_cannot_be_known_and_no_more(tmp_path: Path) -> None:
    name = "fasterrcnn_resnet50_fpn"
    frozen, trained = (bare(tmp_path, name, counted=counted) for counted in (False, True))
    [told] = told_of(bare(tmp_path, name, counted=False), name, {})
    assert """--config '{"batch_norm_eps": 0}' or 1e-05""" in told
    assert told_of(frozen, name, {"batch_norm_eps": 1e-5}) == []  # it was said
    # Its batch norms were trained: not frozen.
    assert told_of(bare(tmp_path, name, counted=True), name, {}) == []
    [told] = told_of(trained, "inception_v3", {"init_weights": False})
    assert """--config '{"transform_input": true}' or false""" in told
    assert told_of(trained, "inception_v3", {"init_weights": False, "transform_input": False}) == []


def test_the_epsilon_is_ours_to_set_and_of_these_architectures_alone() -> None:
    from statehouse.models import build_model
    from statehouse.models.errors import ArchitectureConfigError

    module = build_model("torchvision:maskrcnn_resnet50_fpn", {"num_classes": 2, "batch_norm_eps": 0.5})
    assert {each.eps for each in module.modules() if isinstance(each, nn.BatchNorm2d)} == {0.5}
    with pytest.raises(ArchitectureConfigError, match="batch_norm_eps"):
        build_model("torchvision:resnet18", {"batch_norm_eps": 0.5})
