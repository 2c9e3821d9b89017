"""The module's single output to a value in the target's own unit."""

import numpy as np
import torch

from handlers.batch import Outputs
from handlers.errors import ModuleMismatchError


def value_outputs(outputs: torch.Tensor, *, mean: float, std: float) -> Outputs:
    """`output * std + mean` as `value`, float32; raises ModuleMismatchError unless there is one per row."""
    if outputs.numel() != len(outputs):
        raise ModuleMismatchError(
            f"the module gives {list(outputs.shape[1:])} per row; expected one number, for a regression"
        )
    values = outputs.reshape(-1).double().cpu().numpy() * std + mean
    with np.errstate(over="ignore"):
        return {"value": values.astype(np.float32)}
