"""State dicts as the tools themselves write them: DDP, FSDP, torch.compile, AveragedModel, Lightning, trainers."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as distributed_checkpoint
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from statehouse.models import build_model, load_checkpoint, register_architecture
from statehouse.models.errors import CheckpointContentError, StateDictError
from statehouse.models.libraries.torchvision_operators import import_torchvision

import_torchvision()  # torchmetrics, which Lightning imports, imports it
lightning = importlib.import_module("pytorch_lightning")

ROOT = Path(__file__).resolve().parents[3]
SAVE_DISTRIBUTED = Path(__file__).with_name("save_distributed.py")
CONFIG = {"input_size": 4, "hidden_sizes": [6], "output_size": 2, "normalisation": "batch"}
ABOUT = {"architecture": "mlp", "config": CONFIG}


@register_architecture("tied_net", input_shape=lambda config: (config.width,))
class TiedNet(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.encode = nn.Linear(width, width, bias=False)
        self.decode = nn.Linear(width, width, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, x):
        return self.decode(torch.relu(self.encode(x)))


@register_architecture("with_positions")
class WithPositions(nn.Module):
    def __init__(self, width: int, saved: bool):
        super().__init__()
        self.embed = nn.Embedding(width, 3)
        self.register_buffer("position_ids", torch.arange(width)[None], persistent=saved)

    def forward(self, x):
        return x[:, None] + self.embed(self.position_ids[0])[None].sum(1)


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = build_model("mlp", CONFIG)
    net(torch.randn(16, 4))  # running means that are not the initial ones
    return net.eval()


@pytest.fixture
def distributed(net, tmp_path):
    """Have DDP or FSDP save the network; return the file."""

    def save(kind):
        torch.save(net, tmp_path / "net.pt")
        file = tmp_path / f"{kind}.ckpt"
        command = [sys.executable, SAVE_DISTRIBUTED, kind, tmp_path / "net.pt", file]
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
        return file

    return save


@pytest.fixture
def read(net, tmp_path):
    """Save what a tool gave, read it, see that the module answers as `like` does, and return the header."""

    def run(held, *, like=None, about=ABOUT, **options):
        file = held if isinstance(held, Path) else tmp_path / "held.ckpt"
        if file is not held:
            torch.save(held, file)
        checkpoint = load_checkpoint(file, **about, **options)
        row = torch.randn(3, 4)
        torch.testing.assert_close(checkpoint.build()(row), (like or net).eval()(row), rtol=0, atol=0)
        return checkpoint.header

    return run


def test_distributed_data_parallel(read, distributed):
    header = read(distributed("ddp"))
    assert header.notes == (
        "prefix module. taken off 9 names (DataParallel, DistributedDataParallel, AveragedModel)",
    )


def test_compiled(read, net):
    header = read({"model": torch.compile(net).state_dict(), "epoch": 7})
    assert header.notes == ("prefix _orig_mod. taken off 9 names (torch.compile)",)
    assert header.origin == "{'model': …}, epoch 7"


def test_fsdp_full_state_dict(read, distributed):
    assert read(distributed("fsdp_full")).origin == "{'model_state_dict': …}, step 12"


def test_attributes_on_tensors_shadow_nothing(net, tmp_path, rewrite_archive):
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    hostile = ("xntyped_storage", "xumel", "xetach", "xata_ptr")
    state["layers.0.weight"].__dict__.update(dict.fromkeys(hostile, 7))
    torch.save(state, tmp_path / "odd.pt")
    real = ("untyped_storage", "numel", "detach", "data_ptr")
    replace = tuple((old.encode(), new.encode()) for old, new in zip(hostile, real, strict=True))
    rewrite_archive(tmp_path / "odd.pt", tmp_path / "hostile.pt", replace=replace)
    assert load_checkpoint(tmp_path / "hostile.pt", **ABOUT).build()(torch.ones(1, 4)).shape == (1, 2)


def test_fsdp_of_blocks_that_are_checkpointed(read, net):
    names = {f"_fsdp_wrapped_module.layers._checkpoint_wrapped_module.{name.removeprefix('layers.')}": tensor
             for name, tensor in net.state_dict().items()}  # fmt: skip
    assert len(read(names).notes) == 2


def test_fsdp_shards_of_one_process_are_the_whole_tensors(net, distributed):
    """tests/models/storage/distributed has those of two, which are refused with what to save."""
    found = load_checkpoint(distributed("fsdp_shards"), **ABOUT)
    assert all(torch.equal(found.state_dict[name], tensor) for name, tensor in net.state_dict().items())


def test_a_folder_of_distributed_checkpoints_is_read(net, tmp_path):
    distributed_checkpoint.save(net.state_dict(), checkpoint_id=tmp_path / "saved", no_dist=True)
    found = load_checkpoint(tmp_path / "saved", **ABOUT)
    assert all(torch.equal(found.state_dict[name], tensor) for name, tensor in net.state_dict().items())


def averaged(net, times=3):
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    average.update_parameters(net)
    moved = build_model("mlp", CONFIG)
    for _ in range(times - 1):
        average.update_parameters(moved)
    return average


def test_an_averaged_model_by_itself(read, net):
    average = averaged(net)
    header = read(average.state_dict(), like=average.module)
    assert header.weights == "ema"
    assert header.origin == "a bare state_dict of an AveragedModel"
    assert "weights averaged over 3 steps; the counter n_averaged is left out" in header.notes


@pytest.mark.parametrize(
    ("model_key", "key", "wrap"),
    [
        ("model", "model_ema", lambda average: average.state_dict()),  # torchvision's references
        ("state_dict", "state_dict_ema", lambda average: average.module.state_dict()),  # timm
        ("model_state_dict", "ema_state_dict", lambda average: average.module.state_dict()),
        ("model", "ema", lambda average: {"module": average.module.state_dict(), "decay": 0.99}),
    ],
)
def test_the_average_unless_the_model_is_asked_for(read, net, model_key, key, wrap):
    average = averaged(net)
    held = {model_key: net.state_dict(), key: wrap(average), "optimizer": {"state": {}, "param_groups": []}}
    header = read(held, like=average.module)
    assert header.weights == "ema"
    assert header.notes[0] == f"the moving average ({key}) is taken; --weights model takes {model_key}"
    assert f"left out, serving needs none of it: {model_key}, optimizer" in header.notes
    assert read(held, like=average.module, weights="ema").weights == "ema"
    header = read(held, like=net, weights="model")
    assert header.weights == "model"
    assert header.notes[0] == f"{model_key} is taken as asked, not the moving average ({key})"


def test_weights_that_are_not_there(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "plain.pt")
    torch.save({"ema_state_dict": net.state_dict()}, tmp_path / "average.pt")
    with pytest.raises(CheckpointContentError, match="has no moving average; looked for ema_state_dict"):
        load_checkpoint(tmp_path / "plain.pt", weights="ema", **ABOUT)
    with pytest.raises(CheckpointContentError, match="has the moving average alone"):
        load_checkpoint(tmp_path / "average.pt", weights="model", **ABOUT)
    assert load_checkpoint(tmp_path / "average.pt", **ABOUT).header.weights == "ema"
    assert load_checkpoint(tmp_path / "plain.pt", weights="model", **ABOUT).header.weights == "model"


class LitNet(lightning.LightningModule):
    def __init__(self, input_size, hidden_sizes, output_size, normalisation="batch", learning_rate=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.model = build_model("mlp", {key: self.hparams[key] for key in CONFIG})

    def training_step(self, batch, _index):
        return self.model(batch[0]).square().mean()

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), self.hparams.learning_rate)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


@pytest.mark.filterwarnings("ignore")
def test_lightning(read, tmp_path):
    lit = LitNet(**CONFIG)
    rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 4)), batch_size=4)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(lit, rows)
    trainer.save_checkpoint(tmp_path / "lit.ckpt")
    checkpoint = load_checkpoint(tmp_path / "lit.ckpt", architecture="mlp")  # its config is in the file
    row = torch.randn(3, 4)
    assert torch.equal(checkpoint.build()(row), lit.model.eval()(row))
    header = checkpoint.header
    assert (header.form, header.has_training_state) == ("lightning", True)
    assert (
        header.origin
        == f"a Lightning checkpoint ({lightning.__version__}), epoch {trainer.current_epoch}, step 4"
    )
    assert "prefix model. taken off all 9 names: the architecture has none such" in header.notes
    assert "hyper_parameters that the architecture has none of: learning_rate" in header.notes
    [left_out] = [note for note in header.notes if note.startswith("left out")]
    assert {"optimizer_states", "lr_schedulers", "callbacks", "loops"} <= set(
        left_out.split(": ")[1].split(", ")
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_cast_to_what_the_architecture_declares(read, net, dtype):
    half = {name: t.to(dtype) if t.is_floating_point() else t for name, t in net.state_dict().items()}
    like = build_model("mlp", CONFIG)
    like.load_state_dict(half)
    header = read(half, like=like)
    name = str(dtype).removeprefix("torch.")
    assert header.notes == (
        f"8 tensors cast from {name} to float32, as the architecture has them: no value changes",
    )
    assert header.tensors["layers.0.weight"].dtype == "float32"


def test_a_narrower_dtype_is_not_cast_to(net, tmp_path):
    torch.save({name: tensor.double() for name, tensor in net.state_dict().items()}, tmp_path / "double.pt")
    with pytest.raises(StateDictError, match=r"wrong dtype: layers\.0\.weight is float64"):
        load_checkpoint(tmp_path / "double.pt", **ABOUT).build()


def test_one_of_two_tied_weights_is_absent(tmp_path):
    tied = build_model("tied_net", {"width": 4})
    torch.save({"encode.weight": tied.encode.weight.detach()}, tmp_path / "tied.pt")
    checkpoint = load_checkpoint(tmp_path / "tied.pt", architecture="tied_net", config={"width": 4})
    assert checkpoint.header.notes == ("not in the file, tied to others that are: decode.weight",)
    module = checkpoint.build()
    assert module.decode.weight is module.encode.weight
    assert torch.equal(module.encode.weight, tied.encode.weight)


def test_half_precision_keeps_ties(tmp_path):
    tied = build_model("tied_net", {"width": 4}).half()
    torch.save(tied.state_dict(), tmp_path / "tied.pt")
    checkpoint = load_checkpoint(tmp_path / "tied.pt", architecture="tied_net", config={"width": 4})
    assert checkpoint.build().decode.weight.dtype == torch.float32


def test_a_counter_that_older_torch_did_not_save(read, net):
    state = net.state_dict()
    del state["layers.1.num_batches_tracked"]
    assert read(state).notes == ("not in the file, made by the module itself: layers.1.num_batches_tracked",)


def test_a_counter_that_the_module_has_not(read):
    config = {**CONFIG, "normalisation": "layer"}
    net = build_model("mlp", config)
    state = net.state_dict() | {"layers.1.num_batches_tracked": torch.tensor(7)}
    header = read(state, like=net, about={"architecture": "mlp", "config": config})
    assert header.notes == ("left out, without a part in the answers: layers.1.num_batches_tracked",)


@pytest.mark.parametrize("saved", [True, False])
def test_position_ids_that_come_and_go(tmp_path, saved):
    other = build_model("with_positions", {"width": 4, "saved": not saved})
    torch.save(other.state_dict(), tmp_path / "net.pt")
    config = {"width": 4, "saved": saved}
    checkpoint = load_checkpoint(tmp_path / "net.pt", architecture="with_positions", config=config)
    assert len(checkpoint.header.notes) == 1
    assert torch.equal(checkpoint.build().position_ids, other.position_ids)


def test_position_ids_of_other_values_are_refused(tmp_path):
    state = build_model("with_positions", {"width": 4, "saved": True}).state_dict()
    torch.save(state | {"position_ids": state["position_ids"] + 2}, tmp_path / "net.pt")
    config = {"width": 4, "saved": False}
    with pytest.raises(StateDictError, match="unexpected: position_ids"):
        load_checkpoint(tmp_path / "net.pt", architecture="with_positions", config=config).build()


@pytest.mark.parametrize("name", ["layers.1.running_mean", "layers.1.running_var", "layers.0.bias"])
def test_what_training_made_must_be_there(net, tmp_path, name):
    state = net.state_dict()
    del state[name]
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(StateDictError, match=f"missing: {name}"):
        load_checkpoint(tmp_path / "net.pt", **ABOUT).build()


def test_a_prefix_that_the_architecture_has_as_well_stays(net, read):
    header = read(net.state_dict())  # all names begin with `layers.`
    assert header.notes == ()


def test_the_optimizer_inside_is_left_out(read, net):
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    held = {"model_state_dict": net.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "epoch": 3}
    header = read(held)
    assert header.has_training_state
    assert header.notes == ("left out, serving needs none of it: optimizer_state_dict",)
