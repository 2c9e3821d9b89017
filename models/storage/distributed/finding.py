"""Which folder of torch.distributed.checkpoint a path means, by the names of files alone."""

from __future__ import annotations

import re
from pathlib import Path

METADATA_FILE = ".metadata"
META_FILE = "meta.pt"  # of Lightning's FSDP: what is no tensor of the model
DATA_SUFFIX = ".distcp"
# What HuggingFaceStorageWriter writes of each process, until it has consolidated them.
SHARD_OF_PROCESS = re.compile(r"shard-(\d{5,})-model-\d{5,}-of-\d{5,}\.safetensors")
_OF_ACCELERATE = "pytorch_model_fsdp_*"


def find_saved_folder(path: Path) -> Path | None:
    """Return the folder of torch.distributed.checkpoint that `path` means, None where it means another thing.

    It is the folder, its `.metadata`, one of its `.distcp`, or a folder in which accelerate or torch has put it.
    """
    if path.is_file() and (path.name == METADATA_FILE or path.suffix == DATA_SUFFIX):
        return path.parent
    if not path.is_dir():
        return None
    if _is_saved(path):
        return path
    within = [each for each in (*sorted(path.glob(_OF_ACCELERATE)), path / "sharded") if _is_saved(each)]
    return within[0] if len(within) == 1 else None


def _is_saved(path: Path) -> bool:
    """Whether a folder has the files; without `.metadata` its reader says so."""
    if not path.is_dir():
        return False
    return any(
        file.name == METADATA_FILE or file.suffix == DATA_SUFFIX or is_shard_of_process(file)
        for file in path.iterdir()
    )


def is_shard_of_process(file: Path) -> bool:
    """Whether a file is called as HuggingFaceStorageWriter calls what one process has written."""
    return SHARD_OF_PROCESS.fullmatch(file.name) is not None
