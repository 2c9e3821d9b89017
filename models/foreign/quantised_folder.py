"""A Hugging Face folder whose weights are quantised: by what, and the lines that make floats of them again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from statehouse.models.errors import CheckpointUnreadableError, listed

SETTINGS_KEY = "quantization_config"
_TO = "whole"  # the folder that the lines write
_NAMES = {
    "bitsandbytes": "bitsandbytes",
    "torchao": "torchao",
    "gptq": "GPTQ",
    "awq": "AWQ",
    "fp8": "fine-grained float8",
    "mxfp4": "MXFP4",
    "hqq": "HQQ",
    "compressed-tensors": "compressed-tensors",
}
# transformers 5: the methods that have a way back, and how it is called.
_BACK = {
    "bitsandbytes": ["model = model.dequantize()"],
    "torchao": [
        # In one line: what is listed loses its indentation.
        "for each in (each for each in model.modules() if isinstance(each, torch.nn.Linear)): "
        "each.weight = torch.nn.Parameter(each.weight.dequantize())",
        "model.hf_quantizer.remove_quantization_config(model)",
    ],
}


def refuse_quantised(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a folder whose `config.json` says that its weights are quantised.

    Raises CheckpointUnreadableError: by what, and what to run.
    """
    settings = config.get(SETTINGS_KEY)
    if not isinstance(settings, Mapping) or not settings:
        return
    method = str(
        settings.get("quant_method") or ("bitsandbytes" if _is_of_bitsandbytes(settings) else "unnamed")
    )
    what = f"{folder}: is quantised by {_NAMES.get(method, ascii(method[:40]))}, and served are floats"
    back = _BACK.get(method)
    if back is None:
        raise CheckpointUnreadableError(
            f"{what}; transformers has no way back for it: publish the model that it was made from{_origin(config)}"
        )
    raise CheckpointUnreadableError(
        listed(
            f"{what}; run this in Python where {method} is installed, then publish the folder {_TO}:",
            [
                "import torch",
                f"from transformers import AutoTokenizer, {_class_of(config)} as Model",
                f"model = Model.from_pretrained({str(folder)!r})",
                *back,
                f'model.save_pretrained("{_TO}")',
                f'AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained("{_TO}")',
            ],
            mark="  ",
        )
    )


def _is_of_bitsandbytes(settings: Mapping[str, Any]) -> bool:
    """Whether they are bitsandbytes', which did not always say so."""
    return any(settings.get(key) for key in ("load_in_8bit", "load_in_4bit"))


def _class_of(config: Mapping[str, Any]) -> str:
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    return first if isinstance(first, str) and first.isidentifier() and first.isascii() else "AutoModel"


def _origin(config: Mapping[str, Any]) -> str:
    name = config.get("_name_or_path")
    return f" ({name[:100]!a}, says config.json)" if isinstance(name, str) and name else ""
