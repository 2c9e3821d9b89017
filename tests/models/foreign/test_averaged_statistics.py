"""An average of weights says whose statistics its batch norms have, as far as a file can tell."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from statehouse.models import load_checkpoint
from statehouse.models.foreign.weights import choose_weights

BATCHES = 3
KNOWN, UNKNOWN = "have the last model's statistics", "the file does not say whose statistics"


class Trained:
    """A network with a batch norm, or a layer norm, and its average over two epochs, once a batch or once an epoch."""

    def __init__(
        self, norm: type[nn.Module] = nn.BatchNorm1d, *, each_batch: bool = False, buffers: bool = False
    ):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), norm(4), nn.Linear(4, 2))
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(), use_buffers=buffers)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.batches = [torch.randn(8, 3) for _ in range(BATCHES)]
        for _ in range(2):
            for batch in self.batches:
                optimizer.zero_grad()
                self.model(batch).square().mean().backward()
                optimizer.step()
                if each_batch:
                    self.average.update_parameters(self.model)
            if not each_batch:
                self.average.update_parameters(self.model)

    def recomputed(self) -> Trained:
        update_bn(self.batches, self.average)
        return self

    def both(self, key: str = "ema") -> dict[str, Any]:
        return {"model": self.model.state_dict(), key: self.average.state_dict()}

    def lightning(self) -> dict[str, Any]:
        """As Lightning's WeightAveraging rearranges a checkpoint."""
        averaged = self.average.state_dict()
        count = averaged.pop("n_averaged")
        return {
            "pytorch-lightning_version": "2.6",
            "state_dict": {name.removeprefix("module."): value for name, value in averaged.items()},
            "current_model_state": self.model.state_dict(),
            "averaging_state": {"n_averaged": count},
        }


def told(held: dict[str, Any]) -> str | None:
    chosen = choose_weights(held, None)
    assert chosen is not None
    assert chosen.weights == "ema"
    notes = [note for note in chosen.notes if "statistics" in note]
    assert all("torch.optim.swa_utils.update_bn(loader, average)" in note for note in notes)
    return notes[0] if notes else None


def test_beside_the_model_itself_it_is_known() -> None:
    assert KNOWN in (told(Trained().both()) or "")
    assert KNOWN in (told(Trained().lightning()) or "")
    assert told(Trained().recomputed().both()) is None
    assert told(Trained().recomputed().lightning()) is None
    assert told(Trained(buffers=True).both()) is None  # averaged as well


def test_alone_it_is_known_only_where_fewer_batches_were_counted_than_updates() -> None:
    assert UNKNOWN in (told(Trained().average.state_dict()) or "")
    assert UNKNOWN in (told(Trained(each_batch=True).average.state_dict()) or "")
    assert told(Trained(each_batch=True).recomputed().average.state_dict()) is None
    # Once an epoch, over 2 of them: 3 batches were counted, by update_bn or by training, the file does not say.
    assert UNKNOWN in (told(Trained().recomputed().average.state_dict()) or "")


def test_nothing_is_told_without_batch_norms_or_without_an_average() -> None:
    assert told(Trained(nn.LayerNorm).both()) is None
    assert told(Trained(nn.LayerNorm).average.state_dict()) is None
    same = Trained().model.state_dict()
    assert told({"model": same, "ema": same}) is None
    once = AveragedModel(Trained().model)
    once.update_parameters(Trained().model)
    assert told(once.state_dict()) is None
    chosen = choose_weights(Trained().both(), "model")
    assert chosen is not None
    assert not any("statistics" in note for note in chosen.notes)


@pytest.mark.parametrize(("weights", "key"), [(None, "average"), ("model", "model")])
def test_lightnings_average_is_one_and_its_model_is_beside_it(weights: Any, key: str, tmp_path: Any) -> None:
    trained = Trained()
    torch.save(trained.lightning(), tmp_path / "last.ckpt")
    checkpoint = load_checkpoint(tmp_path / "last.ckpt", weights=weights)
    own = {"average": trained.average.module, "model": trained.model}[key]
    assert all(torch.equal(value, own.state_dict()[name]) for name, value in checkpoint.state_dict.items())
    assert checkpoint.header.weights == ("ema" if key == "average" else "model")


def test_a_lightning_file_that_lost_its_average_is_read_by_what_it_has() -> None:
    held = {key: value for key, value in Trained().lightning().items() if key != "state_dict"}
    assert choose_weights(held, None) is None or choose_weights(held, None).key != "state_dict"
