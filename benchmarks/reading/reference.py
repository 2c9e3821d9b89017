"""Makes the reference of the self-made kinds: what torch itself finds in them, with everything in a file run.

    python -m benchmarks.reading.reference

It writes `tests/support/checkpoint_corpus/reference.json`: counts and hashes, no file. Run it by hand after a kind was
added or changed; it is a process of its own that reads nothing but the files that it made itself a moment ago. This is
the only place in the repository where `weights_only=False` stands.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file
from tests.support.checkpoint_corpus.checking import REFERENCE
from tests.support.checkpoint_corpus.digest import contents
from tests.support.checkpoint_corpus.registry import Kind, all_kinds
from torch import nn
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save


def reference_of(kind: Kind, path: Path) -> dict[str, object]:
    """Return what the file holds, and the state_dict of what is a module or a folder."""
    if kind.folder:
        return {"state": contents(_state_of_folder(path)).digest()}
    if path.suffix == ".safetensors":
        return {"held": contents(load_file(path)).digest()}
    held = torch.load(path, weights_only=False, map_location="cpu")
    found = {"held": contents(held).digest()}
    if isinstance(held, nn.Module):
        found["state"] = contents(dict(held.state_dict())).digest()
    return found


def _state_of_folder(path: Path) -> dict[str, object]:
    if (path / ".metadata").is_file():
        whole = path.with_suffix(".whole")
        dcp_to_torch_save(path, whole)
        held: dict[str, dict[str, object]] = torch.load(whole, weights_only=False)
        return held["model"]
    shards = sorted(path.glob("*.safetensors"))
    if shards:
        return {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    return dict(torch.load(path / "pytorch_model.bin", weights_only=False))


def main() -> None:
    """Make every kind, read it, and write what was found."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="reference-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in sorted(all_kinds().items()):
            if not kind.can_be_made:
                raise SystemExit(
                    f"{name} needs {', '.join(kind.needs)}: install it, so that the reference is whole"
                )
            if kind.refused is None:
                source = all_kinds()[kind.like] if kind.like else kind
                found[name] = reference_of(source, source.make(Path(folder)))
    REFERENCE.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{REFERENCE}: {len(found)} kinds")


if __name__ == "__main__":
    main()
