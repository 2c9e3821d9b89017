"""What the training scripts and libraries write themselves, by their own code where it can be had."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import torch
from tests.support.checkpoint_corpus.nets import filled, net, stepped
from tests.support.checkpoint_corpus.registry import kind, saved


def trainer_arguments() -> argparse.Namespace:
    """Return arguments as the references' `train.py` of torchvision parses them."""
    return argparse.Namespace(
        model="net", lr=0.1, device="cpu", lr_step_size=30, output_dir=".", amp=False, opt="sgd"
    )


def torchvision_trainer() -> dict[str, object]:
    """Return what torchvision's `references/classification/train.py` saves."""
    module = net()
    optimizer = stepped(module, torch.optim.SGD)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 30)
    return {
        "model": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": scheduler.state_dict(),
        "epoch": 4,
        "args": trainer_arguments(),
    }


saved("torchvision_train_py", torchvision_trainer, suffix=".pth")


@kind("timm_checkpoint_saver", suffix=".pth.tar", needs=("timm",))
def timm_saver(path: Path) -> None:
    """By timm's own CheckpointSaver, with an average beside."""
    from timm.utils import CheckpointSaver, ModelEmaV2

    module = net()
    saver = CheckpointSaver(
        module, stepped(module), trainer_arguments(), ModelEmaV2(module), checkpoint_dir=str(path.parent),
        recovery_dir=str(path.parent), checkpoint_prefix=path.name.split(".")[0],
    )  # fmt: skip
    saver._save(path, epoch=3, metric=0.5)


@kind("timm_model", suffix=".pth", needs=("timm",))
def timm_model(path: Path) -> None:
    """A whole model of timm, with its config and its layers' classes."""
    import timm

    torch.save(filled(timm.create_model("test_resnet", num_classes=3)), path)


@kind("torchvision_model", suffix=".pth", needs=("torchvision",))
def torchvision_model(path: Path) -> None:
    """A whole model of torchvision: partials and activations within."""
    import torchvision

    torch.save(filled(torchvision.models.shufflenet_v2_x0_5(num_classes=3)), path)


@kind("torchvision_mnasnet", suffix=".pth", needs=("torchvision",))
def mnasnet(path: Path) -> None:
    """A state_dict that needs its `_metadata`."""
    import torchvision

    torch.save(filled(torchvision.models.mnasnet0_5(num_classes=3)).state_dict(), path)


@kind("torchvision_detector", suffix=".pth", needs=("torchvision",))
def detector_parts(path: Path) -> None:
    """A feature pyramid and a region proposal network."""
    from torchvision.models.detection.rpn import AnchorGenerator, RPNHead
    from torchvision.ops import FeaturePyramidNetwork

    parts = {
        "fpn": FeaturePyramidNetwork([4, 8], 4),
        "rpn": RPNHead(4, 3),
        "anchors": AnchorGenerator(((8,), (16,))),
    }
    torch.save({"parts": {name: filled(part) for name, part in parts.items()}}, path)


def lightning_module(lightning: Any) -> Any:
    """Return a Lightning module with a criterion, a metric and hyperparameters."""
    import torchmetrics

    class Classifier(lightning.LightningModule):
        def __init__(self, lr: float = 0.1, layers: tuple[int, ...] = (3, 4)) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = net()
            self.criterion = torch.nn.CrossEntropyLoss(weight=torch.ones(3))
            self.accuracy = torchmetrics.MeanMetric()
            self.accuracy.persistent(mode=True)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return self.criterion(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    return Classifier()


@kind("lightning", suffix=".ckpt", needs=("pytorch_lightning", "torchmetrics"))
def lightning_checkpoint(path: Path) -> None:
    """By a Trainer of pytorch-lightning."""
    import pytorch_lightning as lightning

    module = lightning_module(lightning)
    trainer = lightning.Trainer(
        max_epochs=1, limit_train_batches=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", default_root_dir=str(path.parent),
    )  # fmt: skip
    data = [(torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.long))]
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=None))
    filled(module)
    trainer.save_checkpoint(path)


saved("lightning_by_hand", lambda: {
    "epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.5.0",
    "state_dict": {f"model.{name}": tensor for name, tensor in net().state_dict().items()},
    "hyper_parameters": {"lr": 0.1, "model": net()}, "hparams_name": "kwargs", "callbacks": {}, "optimizer_states": [],
}, suffix=".ckpt")  # fmt: skip
saved("yolo_ema", lambda: {
    "model": None, "ema": copy.deepcopy(net()).half(), "updates": 3, "opt": trainer_arguments(),
    "names": {0: "a", 1: "b"},
})  # fmt: skip
saved("mmengine_like", lambda: {
    "meta": {"epoch": 3, "dataset_meta": {"classes": ("a", "b")}, "cfg": "lr = 0.1\n", "seed": 3},
    "state_dict": net().state_dict(), "message_hub": {"log_scalars": {}}, "param_schedulers": [],
}, suffix=".pth")  # fmt: skip
saved("nnunet_like", lambda: {
    "network_weights": net().state_dict(), "optimizer_state": stepped(net(), torch.optim.SGD).state_dict(),
    "grad_scaler_state": None, "logging": {"mean_fg_dice": [0.5], "epoch_start_timestamps": [1.5]}, "_best_ema": 0.5,
    "current_epoch": 3, "init_args": {"plans": {"a": [1, 2]}, "device": torch.device("cpu")},
    "trainer_name": "nnUNetTrainer",
})  # fmt: skip
