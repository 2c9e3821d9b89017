"""Whether the reader finds in a file what the reference says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tests.support.checkpoint_corpus.digest import contents
from tests.support.checkpoint_corpus.registry import Kind

from statehouse import models
from statehouse.models.errors import CheckpointError
from statehouse.models.storage.containers import read_container
from statehouse.models.storage.shards import read_files

# What `read_state_dict` gives otherwise than the module does, on purpose: tests/models/foreign has each.
OTHERWISE = {
    "data_parallel_module": "names without the wrapper's prefix",
    "quantised_module": "refused, as its layers are quantised",
    "swa_averaged_model": "no counter, and names without the wrapper's prefix",
}
REFERENCE = Path(__file__).with_name("reference.json")


@cache
def reference() -> dict[str, dict[str, dict[str, Any]]]:
    """What each kind holds, by its name."""
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(REFERENCE.read_text())
    return found


def failure(kind: Kind, path: Path) -> str | None:
    """Return why a kind was not read as it should be, in a line; nothing when it was."""
    try:
        if kind.refused is not None:
            read_container(path, "cpu")
            return f"was read, and is no checkpoint: expected {kind.refused!r} in a refusal"
        return _difference(kind, path)
    except CheckpointError as error:
        if kind.refused is not None and kind.refused in str(error):
            return None
        return f"{type(error).__name__}: {' '.join(str(error).replace(str(path), 'it').split())}"
    except Exception as error:  # noqa: BLE001 - a refusal that is not typed is what this looks for
        return f"not a refusal of ours: {type(error).__name__}: {error}"


def _difference(kind: Kind, path: Path) -> str | None:
    wanted = reference()[kind.name]
    held = read_files(path, torch.device("cpu")).held
    if kind.folder:
        held = held["model"] if isinstance(held, dict) and "model" in held else held
        return differing(wanted["state"], contents(held).digest())
    if told := differing(wanted["held"], contents(held).digest()):
        return told
    read_state_dict = getattr(models, "read_state_dict", None)
    if "state" in wanted and kind.name not in OTHERWISE and read_state_dict is not None:
        told = differing(wanted["state"], contents(dict(read_state_dict(path))).digest())
        return told and f"its state_dict: {told}"
    return None


def differing(wanted: dict[str, Any], found: dict[str, Any]) -> str | None:
    """Return what differs between two digests, in words."""
    for part, noun in (("tensors", "tensors"), ("plain", "plain values")):
        if wanted[part] != found[part]:
            return f"{found[part]} {noun}, expected {wanted[part]}"
        if wanted[f"{part}_sha256"] != found[f"{part}_sha256"]:
            return f"the names or the contents of its {wanted[part]} {noun} differ"
    return None
