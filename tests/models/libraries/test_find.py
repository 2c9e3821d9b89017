"""Architectures by `library:name`: found, refused with what to do, and imported only when asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from statehouse.models import (
    build_model,
    get_architecture,
    load_checkpoint,
    register_architecture,
    save_checkpoint,
)
from statehouse.models.building import build_without_values
from statehouse.models.errors import (
    ArchitectureConfigError,
    ArchitectureRegistrationError,
    CheckpointContentError,
    UnknownArchitectureError,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "config", "size"),
    [
        ("torchvision:mobilenet_v2", {"num_classes": 10}, 32),
        ("torchvision:resnext50_32x4d", {"num_classes": 3}, 32),
        ("timm:tf_efficientnet_lite0", {"num_classes": 10, "in_chans": 1}, 32),
        ("timm:vit_tiny_patch16_224", {"num_classes": 10, "img_size": 64}, 64),
    ],
)
def test_a_checkpoint_rebuilds_a_librarys_module_from_plain_data(
    tmp_path: Path, name: str, config: dict[str, int], size: int
) -> None:
    torch.manual_seed(0)
    module = build_model(name, config).eval()
    saved = save_checkpoint(tmp_path / "a.safetensors", module, architecture=name, config=config)
    rebuilt = load_checkpoint(saved).build()
    assert load_checkpoint(saved).header.config == config  # what was not given stays the library's affair
    images = torch.randn(2, config.get("in_chans", 3), size, size)
    with torch.no_grad():
        expected = module(images)
        assert (rebuilt(images) - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_module_that_uses_its_parameters_while_it_is_built_is_built_with_them() -> None:
    module = build_without_values("torchvision:ssdlite320_mobilenet_v3_large", {"num_classes": 3})
    assert not any(parameter.is_meta for parameter in module.parameters())


def test_a_detection_models_backbone_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked the network for weights")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    assert build_without_values("torchvision:fasterrcnn_mobilenet_v3_large_320_fpn", {"num_classes": 2})


def test_the_architecture_says_its_librarys_version() -> None:
    import torchvision

    architecture = get_architecture("torchvision:resnet18")
    assert architecture.library == f"torchvision {torchvision.__version__.partition('+')[0]}"
    assert architecture.source_digest is None
    assert get_architecture("mlp").library is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("torchvision:mobilnet_v2", "did you mean 'mobilenet_v2'"),
        ("timm:resnt18", "did you mean 'resnet18'"),
        ("timm:resnet18.a1_in2k", "did you mean 'resnet18.a1_in1k'"),
        ("timm:hf-hub:someone/something", "timm has no model 'hf-hub:someone/something'"),
        ("timm:local-dir:/etc", "timm has no model 'local-dir:/etc'"),
        ("torchvison:resnet18", "unknown library 'torchvison'"),
        ("os:system", "expected one of: torchvision, timm, transformers"),
    ],
)
def test_an_unknown_name_is_answered_with_what_is_near(name: str, said: str) -> None:
    with pytest.raises(UnknownArchitectureError) as caught:
        get_architecture(name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("torchvision:mobilenet_v2", {"weights": "DEFAULT"}, "weights: leave it out"),
        (
            "timm:resnet18",
            {"pretrained": True, "checkpoint_path": "x"},
            "checkpoint_path, pretrained: leave it out",
        ),
        ("torchvision:mobilenet_v2", {"num_clases": 3}, "did you mean 'num_classes'?"),
        ("torchvision:mobilenet_v2", {"num_classes": "3"}, "num_classes: got '3'"),
        ("torchvision:mobilenet_v2", {"norm_layer": "os.system"}, "norm_layer: is not a field here"),
        ("torchvision:resnext50_32x4d", {"groups": 3}, "expected value 32 but got 3"),
        ("torchvision:maskrcnn_resnet50_fpn", {"box_nms_tresh": 1}, "did you mean 'box_nms_thresh'?"),
        ("timm:deit_tiny_distilled_patch16_224", {"img_sise": 1}, "did you mean 'img_size'?"),
    ],
)
def test_a_wrong_config_is_refused(name: str, config: dict[str, object], said: str) -> None:
    with pytest.raises(ArchitectureConfigError) as caught:
        build_model(name, config)
    assert said in str(caught.value)


def test_every_problem_of_a_checkpoint_is_told_at_once(tmp_path: Path) -> None:
    torch.save({"model_state_dict": {"a": torch.zeros(1)}, "task": "tensr"}, tmp_path / "a.pt")
    with pytest.raises(CheckpointContentError) as caught:
        load_checkpoint(tmp_path / "a.pt", architecture="timm:nothing_like_it")
    assert len(caught.value.problems) == 2


def test_a_colon_is_for_libraries_alone() -> None:
    with pytest.raises(ArchitectureRegistrationError, match="names with a colon"):
        register_architecture("mine:net")(torch.nn.ReLU)


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_imports_a_library_unasked() -> None:
    run(
        "import sys, statehouse.handlers.base, statehouse.scripts.cli, statehouse.scripts.publishing.publish\n"
        "from statehouse import models\n"
        "models.build_model('mlp', {'input_size': 1, 'hidden_sizes': [], 'output_size': 1})\n"
        "models.list_architectures()\n"
        "assert not {'torchvision', 'timm', 'transformers'} & set(sys.modules)"
    )


HIDDEN = """
import os, sys
from pathlib import Path
import numpy, PIL.Image, torch.export, torch._dynamo
import statehouse, statehouse.models.libraries, statehouse.models.tensors.state_dict
from statehouse import get_architecture
[installed] = [Path(p) for p in sys.path if Path(p, 'torchvision').is_dir()]
added = Path(sys.argv[1])
sys.path = [p for p in sys.path if Path(p) != installed] + [str(added)]
"""


def test_an_absent_library_says_what_to_install_and_is_found_once_it_is_there(tmp_path: Path) -> None:
    """As a worker's parent, which has looked for the library in vain before, and remembers the folder's content."""
    program = HIDDEN + (
        "try:\n"
        "    get_architecture('torchvision:resnet18')\n"
        "except statehouse.models.errors.LibraryMissingError as error:\n"
        "    assert \"pip install -e '.[vision]'\" in str(error), error\n"
        "else:\n"
        "    raise AssertionError('it was found')\n"
        "before = added.stat()\n"
        "for name in installed.glob('torchvision*'):\n"
        "    (added / name.name).symlink_to(name)\n"
        "os.utime(added, ns=(before.st_atime_ns, before.st_mtime_ns))  # what a cache goes by\n"
        "print(type(statehouse.build_model('torchvision:resnet18', {'num_classes': 2})).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "ResNet\n", done.stderr


def test_a_library_that_is_broken_inside_is_another_error(tmp_path: Path) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('cut short')")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
            "from statehouse import get_architecture; get_architecture('timm:resnet18')",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (
        "LibraryBrokenError: timm is installed, but importing it raised RuntimeError: cut short"
        in done.stderr
    )
