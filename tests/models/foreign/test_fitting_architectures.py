"""A state_dict of a registered architecture is known by its names and shapes, with its config."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from statehouse.models import build_model, register_architecture
from statehouse.models.architecture import forget_architectures
from statehouse.models.foreign.fitting_architectures import fitting_architectures
from statehouse.models.tensors.state_dict import describe
from statehouse.models.tensors.tensor_info import TensorInfo


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("simple_net", {"input_size": 4, "hidden_size": 8, "num_classes": 2}),
        ("mlp", {"input_size": 4, "hidden_sizes": [8, 3], "output_size": 2}),
    ],
)
def test_it_fits_its_own_architecture_with_its_own_config(name: str, config: dict[str, Any]) -> None:
    found = fitting_architectures(describe(build_model(name, config).state_dict()))
    assert config.items() <= found[name].items()
    assert {"simple_net", "mlp"} & set(found) == {name}


def test_what_fits_none_is_none_of_them() -> None:
    assert not {"simple_net", "mlp", "convnet"} & set(
        fitting_architectures({"x": TensorInfo("float32", (7,))})
    )


def test_one_that_breaks_is_none_that_fits_and_hides_no_other() -> None:
    @register_architecture("aa_breaks")
    class Breaks(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.layer = nn.Linear(width, width)

        def state_dict(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("not today")

    try:
        config = {"input_size": 4, "hidden_size": 8, "num_classes": 2}
        assert "simple_net" in fitting_architectures(describe(build_model("simple_net", config).state_dict()))
    finally:
        forget_architectures(lambda builder: builder is Breaks)
