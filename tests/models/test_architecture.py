from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from statehouse.models.architecture import (
    ArchitectureConfig,
    build_model,
    get_architecture,
    list_architectures,
    register_architecture,
    validate_config,
)
from statehouse.models.architectures import simple_net
from statehouse.models.errors import (
    ArchitectureConfigError,
    ArchitectureRegistrationError,
    UnknownArchitectureError,
)


def test_built_in_architectures_are_listed_sorted():
    names = list_architectures()
    assert names == sorted(names)
    assert {"convnet", "mlp", "simple_net"} <= set(names)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("simple_net", {"input_size": 4, "hidden_size": 3, "num_classes": 2}),
        ("mlp", {"input_size": 5, "hidden_sizes": [], "output_size": 2}),
        ("mlp", {"input_size": 5, "hidden_sizes": [4, 3], "output_size": 2, "normalisation": "batch"}),
        (
            "mlp",
            {
                "input_size": 5,
                "hidden_sizes": [4],
                "output_size": 1,
                "normalisation": "layer",
                "activation": "gelu",
                "dropout": 0.5,
            },
        ),
        ("convnet", {"in_channels": 1, "height": 8, "width": 8, "num_classes": 10}),
        ("convnet", {"in_channels": 3, "height": 9, "width": 17, "num_classes": 4, "channels": [2, 4, 8]}),
    ],
)
def test_module_takes_the_input_shape_that_its_architecture_states(name, config):
    module = build_model(name, config).eval()
    typed = validate_config(name, config)
    rows = torch.randn(2, *get_architecture(name).input_shape(typed))
    outputs = module(rows)
    assert outputs.shape[0] == 2
    assert outputs.ndim == 2


def test_simple_net_is_what_tutorials_save():
    net = build_model("simple_net", {"input_size": 4, "hidden_size": 3, "num_classes": 2})
    assert {name: tuple(value.shape) for name, value in net.state_dict().items()} == {
        "fc1.weight": (3, 4),
        "fc1.bias": (3,),
        "fc2.weight": (2, 3),
        "fc2.bias": (2,),
    }
    rows = torch.randn(5, 4)
    assert torch.equal(net(rows), net.fc2(torch.relu(net.fc1(rows))))


@pytest.mark.usefixtures("only_built_in")
def test_unknown_name_lists_the_known_ones_and_the_close_one():
    with pytest.raises(UnknownArchitectureError) as caught:
        build_model("simplenet", {})
    text = str(caught.value)
    assert "did you mean 'simple_net'?" in text
    assert all(name in text for name in ("convnet", "mlp", "simple_net"))


def test_config_error_names_every_field_at_once():
    with pytest.raises(ArchitectureConfigError) as caught:
        validate_config("simple_net", {"input_size": "784", "hidden_size": 0, "num_clases": 3})
    assert caught.value.problems == [
        "input_size: got '784'; input should be a valid integer",
        "hidden_size: got 0; input should be greater than 0",
        "num_classes: is missing",
        "num_clases: is not a field here (did you mean 'num_classes'?); "
        "expected one of: input_size, hidden_size, num_classes",
    ]


def test_config_of_a_value_that_is_no_plain_data_is_refused():
    with pytest.raises(ArchitectureConfigError, match=r"input_size: a torch\.Tensor is not plain data"):
        validate_config("simple_net", {"input_size": torch.tensor(4), "hidden_size": 3, "num_classes": 2})


def test_an_error_of_the_module_itself_becomes_a_config_error():
    config = {"in_channels": 1, "height": 3, "width": 8, "num_classes": 2}
    with pytest.raises(
        ArchitectureConfigError, match="height and width are 3 and 8; 2 blocks need 4 or more"
    ):
        build_model("convnet", config)


def test_own_module_gets_a_config_derived_from_its_signature():
    @register_architecture("test_own_module")
    class OwnNet(nn.Module):
        def __init__(self, width: int, sizes: tuple[int, ...] = (2, 3), note: str | None = None) -> None:
            super().__init__()
            self.sizes = sizes
            self.layer = nn.Linear(width, sizes[-1])

    assert validate_config("test_own_module", {"width": 4}).model_dump(mode="json") == {
        "width": 4,
        "sizes": [2, 3],
        "note": None,
    }
    assert build_model("test_own_module", {"width": 4, "sizes": [5, 6]}).sizes == (5, 6)
    with pytest.raises(ArchitectureConfigError, match="width: got '4'"):
        validate_config("test_own_module", {"width": "4"})


def test_a_config_class_may_nest():
    class Inner(ArchitectureConfig):
        width: int

    class Outer(ArchitectureConfig):
        inner: Inner

    @register_architecture("test_nested", config=Outer, input_shape=lambda config: (config.inner.width,))
    class Nested(nn.Module):
        def __init__(self, inner: Inner) -> None:
            super().__init__()
            self.layer = nn.Linear(inner.width, 1)

    assert build_model("test_nested", {"inner": {"width": 7}}).layer.in_features == 7
    with pytest.raises(ArchitectureConfigError, match=r"inner\.width: got 'x'"):
        validate_config("test_nested", {"inner": {"width": "x"}})


def test_a_name_is_registered_once():
    @register_architecture("test_once")
    class First(nn.Module):
        pass

    register_architecture("test_once")(First)  # the same class again: its module was imported again
    with pytest.raises(
        ArchitectureRegistrationError, match=r"'test_once' is .*First already; register .*Second"
    ):

        @register_architecture("test_once")
        class Second(nn.Module):
            pass


def test_a_config_class_that_lets_unknown_fields_pass_is_refused():
    class Loose(BaseModel):
        width: int

    with pytest.raises(ArchitectureRegistrationError, match="would let unknown fields pass"):
        register_architecture("test_loose", config=Loose)(nn.Linear)


def test_source_digest_is_that_of_the_file_of_the_module_class():
    source = Path(simple_net.__file__).read_bytes()
    assert get_architecture("simple_net").source_digest == hashlib.sha256(source).hexdigest()


def test_source_digest_of_a_class_without_a_file_is_none():
    namespace: dict[str, object] = {"nn": nn, "__name__": "typed_in"}
    exec("class TypedIn(nn.Module):\n    pass", namespace)
    register_architecture("test_typed_in")(namespace["TypedIn"])
    assert get_architecture("test_typed_in").source_digest is None
