"""Networks inside wrappers, whose prefixes and attributes come along."""

from __future__ import annotations

import torch
from tests.support.checkpoint_corpus.nets import net, numbers
from tests.support.checkpoint_corpus.registry import saved
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.utils import prune


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    """Return the network's state_dict under a prefix."""
    return {prefix + name: tensor for name, tensor in net().state_dict().items()}


def checkpointed() -> nn.Module:
    """Return a network, one layer of which is computed again in the backward pass."""
    module = net()
    module.head = checkpoint_wrapper(module.head)
    return module


saved("data_parallel_module", lambda: nn.DataParallel(net()))
saved("data_parallel_state_dict", lambda: nn.DataParallel(net()).state_dict())
saved("ddp_prefix", lambda: {"model": prefixed("module."), "epoch": 1})
saved("compiled_state_dict", lambda: torch.compile(net()).state_dict())
saved("compiled_and_ddp", lambda: prefixed("module._orig_mod."))
saved("activation_checkpoint_module", checkpointed)
saved("activation_checkpoint_prefix", lambda: prefixed("_checkpoint_wrapped_module."))
saved("fsdp_prefix", lambda: prefixed("_fsdp_wrapped_module."))
saved("pruned_module", lambda: _pruned())
saved("loss_with_network", lambda: {"net": net(), "bce": nn.BCEWithLogitsLoss(pos_weight=numbers(2))})


def _pruned() -> nn.Module:
    module = net()
    prune.l1_unstructured(module.head, "weight", 2)
    return module
