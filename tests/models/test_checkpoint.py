from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import zipfile

import pytest
import torch
from torch import nn

from statehouse import models
from statehouse.models import (
    Example,
    TensorTask,
    build_model,
    describe_as,
    list_architectures,
    load_checkpoint,
    read_checkpoint_header,
    register_architecture,
    save_checkpoint,
    verify_records,
)
from statehouse.models.errors import (
    ArchitectureConfigError,
    CheckpointContentError,
    CheckpointError,
    CheckpointNotFoundError,
    CheckpointUnreadableError,
    StateDictError,
    StatehouseError,
)

CONTAINERS = ("pt", "safetensors")


def numbers(*shape):
    return lambda rows: (torch.randn(rows, *shape),)


def tokens(rows):
    return torch.randint(9, (rows, 5)), torch.tensor([[1, 1, 1, 0, 0]] * rows)


ARCHITECTURES = {
    "simple_net": ({"input_size": 4, "hidden_size": 3, "num_classes": 2}, numbers(4)),
    "mlp": ({"input_size": 4, "hidden_sizes": [3], "output_size": 2, "normalisation": "batch"}, numbers(4)),
    "convnet": ({"in_channels": 1, "height": 8, "width": 8, "num_classes": 3}, numbers(1, 8, 8)),
    "text_bag": ({"vocabulary_size": 9, "embedding_size": 4, "output_size": 2, "hidden_size": 3}, tokens),
}
EXAMPLE = Example(
    content_type="application/json", body=b'{"inputs": [0, 0, 0, 0]}', response={"outputs": [0]}
)


@register_architecture("test_tied_checkpoint")
class TiedNet(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, width)
        self.head = nn.Linear(width, 5, bias=False)
        self.head.weight = self.embed.weight


@pytest.fixture
def save(simple_net, simple_net_config, tmp_path):
    def save_as(name: str, **changes):
        said = {"architecture": "simple_net", "config": simple_net_config, "task": TensorTask(), **changes}
        return save_checkpoint(tmp_path / name, said.pop("model", simple_net), **said)

    return save_as


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_answers_as_before(tmp_path, name, container):
    config, inputs = ARCHITECTURES[name]
    saved = build_model(name, config)
    saved(*inputs(8))  # moves the statistics of batch normalisation
    path = save_checkpoint(tmp_path / f"x.{container}", saved, architecture=name, config=config)
    rebuilt = load_checkpoint(path).build()
    rows = inputs(3)
    assert torch.equal(rebuilt(*rows), saved.eval()(*rows))
    assert not rebuilt.training
    assert not rebuilt(*rows).requires_grad


@pytest.mark.usefixtures("only_built_in")
def test_built_in_architectures_are_all_tested():
    assert set(list_architectures()) == set(ARCHITECTURES)


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_header_says_everything_but_the_tensors(save, simple_net_config, container):
    path = save(f"x.{container}", metadata={"accuracy": 0.98, "data": "digits"}, examples=[EXAMPLE])
    header = read_checkpoint_header(path)
    assert header == load_checkpoint(path).header
    assert header.container == container
    assert header.form == "statehouse"
    assert not header.is_foreign
    assert header.architecture == "simple_net"
    assert header.config == simple_net_config
    assert header.task == TensorTask()
    assert header.examples == (EXAMPLE,)
    assert header.format_version == 1
    assert header.metadata["accuracy"] == 0.98
    assert header.metadata["torch_version"] == torch.__version__
    assert header.metadata["created"].endswith("+00:00")
    assert str(header.tensors["fc1.weight"]) == "float32 [3, 4]"
    assert not header.has_training_state


def test_the_digest_is_of_the_model_alone(save, simple_net, simple_net_config):
    first = load_checkpoint(save("a.pt")).digest()
    backwards = dict(reversed(simple_net.state_dict().items()))
    config = dict(reversed(simple_net_config.items()))
    optimizer = torch.optim.SGD(simple_net.parameters())
    for path in (
        save("b.safetensors"),
        save("c.pt", metadata={"created": "another day"}, examples=[EXAMPLE]),
        save("d.ckpt", model=backwards, config=config),
        save("e.pth", model=nn.DataParallel(simple_net), optimizer=optimizer, epoch=3),
        save("f.safetensors", model=torch.compile(simple_net)),
    ):
        assert load_checkpoint(path).digest() == first == read_checkpoint_header(path).stored_digest
    assert load_checkpoint(save("g.pt", task=TensorTask(input_shape=[4]))).digest() != first
    simple_net.fc1.bias.data[0] += 1
    assert load_checkpoint(save("h.pt")).digest() != first


@pytest.mark.parametrize("container", CONTAINERS)
def test_tied_weights_are_tied_after_loading(tmp_path, container):
    saved = TiedNet(3)
    said = {"architecture": "test_tied_checkpoint", "config": {"width": 3}}
    checkpoint = load_checkpoint(save_checkpoint(tmp_path / f"x.{container}", saved, **said))
    rebuilt = checkpoint.build()
    assert rebuilt.head.weight is rebuilt.embed.weight
    assert torch.equal(rebuilt.head.weight, saved.head.weight)
    other = next(name for name in CONTAINERS if name != container)
    assert (
        load_checkpoint(save_checkpoint(tmp_path / f"y.{other}", saved, **said)).digest()
        == checkpoint.digest()
    )


FOREIGN = {
    "bare": lambda state, config: state,
    "model_state_dict": lambda state, config: {"model_state_dict": state, "model_config": config},
    "state_dict": lambda state, config: {"state_dict": state, "hyper_parameters": config, "callbacks": {}},
    "model": lambda state, config: {"model": {f"module.{key}": value for key, value in state.items()}},
}


@pytest.mark.parametrize("form", FOREIGN)
def test_foreign_files_load_once_the_rest_is_named(tmp_path, simple_net, simple_net_config, save, form):
    path = tmp_path / "foreign.pt"
    torch.save(FOREIGN[form](simple_net.state_dict(), simple_net_config), path)
    header = read_checkpoint_header(path)
    assert (header.form, header.architecture, header.is_foreign) == (form, None, True)
    config = None if header.config else simple_net_config
    with pytest.raises(CheckpointContentError, match="architecture: is missing"):
        load_checkpoint(path).build()
    checkpoint = load_checkpoint(path, architecture="simple_net", config=config, task=TensorTask())
    rows = torch.randn(2, 4)
    assert torch.equal(checkpoint.build()(rows), simple_net(rows))
    later = load_checkpoint(path).described_as(architecture="simple_net", config=config, task=TensorTask())
    assert later.digest() == checkpoint.digest() == load_checkpoint(save("own.pt")).digest()


def test_a_foreign_safetensors_file_loads(tmp_path, simple_net, simple_net_config):
    from safetensors.torch import save_file

    save_file(simple_net.state_dict(), tmp_path / "x.safetensors")
    checkpoint = load_checkpoint(
        tmp_path / "x.safetensors", architecture="simple_net", config=simple_net_config
    )
    assert checkpoint.header.form == "bare"
    assert checkpoint.build()


def test_what_is_given_may_not_contradict_what_the_file_says(save):
    with pytest.raises(CheckpointContentError) as caught:
        load_checkpoint(save("x.pt"), architecture="mlp", config={"input_size": 3})
    assert (
        "architecture: the file says 'simple_net', and 'mlp' was given; leave it out" in caught.value.problems
    )
    other = {"input_size": 4, "hidden_size": 9, "num_classes": 2}
    with pytest.raises(CheckpointContentError, match="config: the file says"):
        describe_as(read_checkpoint_header(save("y.pt")), config=other)
    assert load_checkpoint(save("z.pt"), task=TensorTask(dtype="int64")).header.task.dtype == "int64"


def test_every_problem_of_the_plain_data_at_once(tmp_path, simple_net):
    held = {
        "model_state_dict": simple_net.state_dict(),
        "architecture": "simple_net",
        "model_config": {"input_size": -4, "hidden_size": 3},
        "task": "tensor",
        "task_config": {"dtype": "float16"},
        "metadata": {"format_version": 2},
        "examples": [{"content_type": "x", "body_base64": "???"}],
    }
    torch.save(held, tmp_path / "x.pt")
    with pytest.raises(CheckpointContentError) as caught:
        load_checkpoint(tmp_path / "x.pt")
    places = [problem.partition(":")[0] for problem in caught.value.problems]
    assert places == [
        "metadata.format_version",
        "task_config.dtype",
        "examples[0].body_base64",
        "model_config.input_size",
        "model_config.num_classes",
    ]


def test_an_unknown_key_in_our_own_form_is_refused(save, tmp_path):
    held = torch.load(save("x.pt"), weights_only=True)
    held["modle_config"] = held.pop("model_config")
    torch.save(held, tmp_path / "y.pt")
    with pytest.raises(
        CheckpointContentError, match=r"modle_config: is not a field here .did you mean 'model_con"
    ):
        load_checkpoint(tmp_path / "y.pt")


def test_saving_refuses_what_could_not_be_loaded(save, simple_net, simple_net_config):
    with pytest.raises(ArchitectureConfigError, match="hidden_size: is missing"):
        save("x.pt", config={"input_size": 4, "num_classes": 2})
    with pytest.raises(
        StateDictError, match=r"wrong shape: fc1\.weight is float32 \[3, 4\], expected float32 \[9, 4"
    ):
        save("x.pt", config={**simple_net_config, "hidden_size": 9})
    with pytest.raises(StateDictError, match=r"wrong dtype: fc1\.weight is float16"):
        save("x.pt", model=build_model("simple_net", simple_net_config).half())
    with pytest.raises(CheckpointContentError, match=r"metadata\.when: a .*object is not plain data"):
        save("x.pt", metadata={"when": object(), "accuracy": 1.0})
    with pytest.raises(CheckpointUnreadableError, match=r"suffix '\.h5' names no checkpoint"):
        save("x.h5")


def test_saving_refuses_a_task_by_name_and_examples_as_plain_data(tmp_path, simple_net, simple_net_config):
    with pytest.raises(CheckpointContentError) as caught:
        save_checkpoint(
            tmp_path / "x.pt", simple_net, architecture="simple_net", config=simple_net_config,
            task="tensor", examples=[{"inputs": [1.0]}],
        )  # fmt: skip
    assert [problem.partition(";")[0] for problem in caught.value.problems] == [
        "examples[0]: is a dict",
        "task: is a str",
    ]


def test_the_example_of_the_docstring_saves_a_model_that_loads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = textwrap.dedent(save_checkpoint.__doc__.split("\n\n")[1])
    model = build_model("mlp", {"input_size": 2, "hidden_sizes": [16], "output_size": 1})
    exec(example, {"model": model} | {name: getattr(models, name) for name in models.__all__})
    assert load_checkpoint("prices.pt").build()


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_file_cut_short_anywhere_is_unreadable(save, tmp_path, container):
    data = save(f"x.{container}").read_bytes()
    short = tmp_path / f"short.{container}"
    for size in (*range(0, 80), *range(80, len(data), 37), *range(len(data) - 80, len(data))):
        short.write_bytes(data[:size])
        with pytest.raises(CheckpointUnreadableError):
            load_checkpoint(short)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_flipped_bit_is_refused_or_leaves_the_model_as_it_was(save, tmp_path, container):
    path = save(f"x.{container}", examples=[EXAMPLE])
    data, digest = path.read_bytes(), load_checkpoint(path).digest()
    flipped = tmp_path / f"flipped.{container}"
    refused = 0
    for index in range(0, len(data), 5):
        changed = bytearray(data)
        changed[index] ^= 1 << index % 8
        flipped.write_bytes(changed)
        try:
            verify_records(flipped)
            checkpoint = load_checkpoint(flipped)
            checkpoint.build()
        except StatehouseError:
            refused += 1
        else:
            assert checkpoint.digest() == digest, f"bit {index % 8} of byte {index}"
    assert refused > 50


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_changed_tensor_loads_and_does_not_verify(save, simple_net, container):
    path = save(f"x.{container}")
    verify_records(path)
    data = bytearray(path.read_bytes())
    data[data.index(simple_net.fc1.bias.detach().numpy().tobytes())] ^= 1
    path.write_bytes(data)
    load_checkpoint(path)
    with pytest.raises(CheckpointUnreadableError, match="has changed since it was written") as caught:
        verify_records(path)
    assert "digest: the file says" in str(caught.value)


def test_hostile_files_are_refused_and_run_nothing(save, tmp_path, simple_net, rewrite_archive, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rewrite_archive(save("x.pt"), tmp_path / "deflated.pt", compression=zipfile.ZIP_DEFLATED)
    for name, error in (
        ("deflated.pt", CheckpointUnreadableError),
        ("absent.pt", CheckpointNotFoundError),
    ):
        for read in (load_checkpoint, read_checkpoint_header, verify_records):
            with pytest.raises(error) as caught:
                read(name)
            assert isinstance(caught.value, CheckpointError)


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_modules_are_read_for_their_tensors(tmp_path, simple_net, zipped):
    for name, held in (("module.pt", simple_net), ("inside.pt", {"model": simple_net})):
        torch.save(held, tmp_path / name, _use_new_zipfile_serialization=zipped)
        read = load_checkpoint(tmp_path / name).state_dict
        assert all(torch.equal(read[key], tensor) for key, tensor in simple_net.state_dict().items())
        verify_records(tmp_path / name)


def test_a_save_killed_in_the_middle_leaves_the_old_checkpoint(save):
    path = save("x.pt")
    before = path.read_bytes()
    program = (
        "import os, signal, sys, torch\n"
        "from statehouse import build_model, save_checkpoint\n"
        "write = torch.save\n"
        "def half(held, file):\n"
        "    write(held, file); file.truncate(500); os.kill(os.getpid(), signal.SIGKILL)\n"
        "torch.save = half\n"
        "config = {'input_size': 4, 'hidden_size': 3, 'num_classes': 2}\n"
        "model = build_model('simple_net', config)\n"
        "save_checkpoint(sys.argv[1], model, architecture='simple_net', config=config)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert finished.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert load_checkpoint(path).build()


def test_a_checkpoint_saved_on_another_gpu_loads_on_the_cpu(save, tmp_path, rewrite_archive):
    path = save("x.pt")
    tag = ((b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:3"),)
    tagged = rewrite_archive(path, tmp_path / "gpu.pt", replace=tag)
    checkpoint = load_checkpoint(tagged)
    assert checkpoint.digest() == load_checkpoint(path).digest()
    assert {parameter.device.type for parameter in checkpoint.build().parameters()} == {"cpu"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("container", CONTAINERS)
def test_tensors_go_to_the_serving_gpu(save, container):
    checkpoint = load_checkpoint(save(f"x.{container}"), map_location="cuda:0")
    module = checkpoint.build()
    assert {tensor.device.type for tensor in (*module.parameters(), *module.buffers())} == {"cuda"}
    assert checkpoint.digest() == checkpoint.header.stored_digest


def test_a_file_is_described_without_any_values(save):
    checkpoint = load_checkpoint(save("x.pt"), map_location="meta")
    assert {tensor.device.type for tensor in checkpoint.state_dict.values()} == {"meta"}
