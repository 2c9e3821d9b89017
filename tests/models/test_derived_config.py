from __future__ import annotations

import pytest
from torch import nn

from statehouse.models.derived_config import derive_config
from statehouse.models.errors import ArchitectureRegistrationError


def test_every_parameter_that_cannot_be_a_field_is_listed():
    class Net(nn.Module):
        def __init__(self, width, depth: int, /, *sizes: int, **options: int) -> None:
            super().__init__()

    with pytest.raises(ArchitectureRegistrationError) as caught:
        derive_config("net", Net)
    text = str(caught.value)
    for part in ("width: is positional-only", "depth: is positional-only", "*sizes", "**options"):
        assert part in text


def test_a_parameter_without_annotation_says_what_to_write():
    class Net(nn.Module):
        def __init__(self, width) -> None:
            super().__init__()

    with pytest.raises(ArchitectureRegistrationError, match="write for example `width: int`"):
        derive_config("net", Net)


def test_a_type_that_is_not_plain_data_is_refused():
    class Net(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()

    with pytest.raises(ArchitectureRegistrationError, match="not plain data"):
        derive_config("net", Net)


def test_an_annotation_that_cannot_be_resolved_is_refused():
    class Net(nn.Module):
        def __init__(self, width: Nowhere) -> None:  # noqa: F821 - the point of the test
            super().__init__()

    with pytest.raises(ArchitectureRegistrationError, match="cannot be resolved: name 'Nowhere'"):
        derive_config("net", Net)
