"""What a pickle says of a storage, in each of the ways in which torch.save says it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from statehouse.models.storage.inert.operands import DamagedPickleError
from statehouse.models.storage.inert.record import Named
from statehouse.models.storage.inert.storages import Identity, Place, Storages, parse_identity
from statehouse.models.storage.inert.views import UnsoundTensorError

FLOAT = Named("torch.FloatStorage")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("storage", FLOAT, "0", "cpu", 6), Identity("0", torch.float32, 6)),
        (("storage", FLOAT, "0", "cpu", 6, None), Identity("0", torch.float32, 6)),
        ((b"storage", FLOAT, 7, "cpu", 6, ("8", 2, 3)), Identity("7", torch.float32, 6, (2, 3))),
        (("storage", Named("torch.storage.UntypedStorage"), "0", "cpu", 6), Identity("0", None, 6)),
        (("storage", Named("torch.cuda.HalfStorage"), "0", "cuda:0", 6), Identity("0", torch.float16, 6)),
        ("('storage', <class 'torch.FloatStorage'>, '0', 'cpu', 6)", Identity("0", torch.float32, 6)),
        (
            "('storage', <class 'torch.FloatStorage'>, '94', 'cuda:0', 6, None)",
            Identity("94", torch.float32, 6),
        ),
    ],
)
def test_identities_of_every_age(said: object, expected: Identity) -> None:
    assert parse_identity(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "0",
        7,
        (),
        ("module", FLOAT, "a", "b", "c"),
        ("storage", FLOAT, "0", "cpu", -1),
        ("storage", FLOAT, "0", "cpu", 2**62),
        ("storage", FLOAT, "0", "cpu", True),
        ("storage", FLOAT, (), "cpu", 1),
        ("storage", FLOAT, "0", "cpu", 1, ("8", -1, 3)),
        ("storage", Named("their.FloatStorage"), "0", "cpu", 1),
        ("storage", Named("torch.save"), "0", "cpu", 1),
        ("storage", "FloatStorage", "0", "cpu", 1),
    ],
)
def test_other_identities_are_refused(said: object) -> None:
    with pytest.raises(DamagedPickleError):
        parse_identity(said)


@pytest.fixture
def storages(tmp_path: Path) -> Storages:
    (tmp_path / "a.bin").write_bytes(bytes(3) + torch.arange(4.0).numpy().tobytes())
    return Storages(tmp_path / "a.bin", {"0": Place(3, 16)}, torch.device("cpu"))


def test_numbers_that_are_not_aligned_are_copied(storages: Storages) -> None:
    typed = storages.typed(("storage", FLOAT, "0", "cpu", 4))
    assert typed._untyped_storage.data_ptr() % 4 == 0
    assert typed._untyped_storage.tolist()[4:8] == [0, 0, 128, 63]
    assert storages.typed(("storage", FLOAT, "0", "cpu", 4))._untyped_storage is typed._untyped_storage


def test_a_view_of_old_files_is_a_part_of_its_storage(storages: Storages) -> None:
    part = storages.typed(("storage", FLOAT, "0", "cpu", 4, ("1", 1, 2)))
    assert part._untyped_storage.tolist() == [0, 0, 128, 63, 0, 0, 0, 64]
    with pytest.raises(UnsoundTensorError, match="a view ends at byte 20"):
        storages.typed(("storage", FLOAT, "0", "cpu", 4, ("1", 3, 2)))


def test_what_the_file_does_not_have_is_refused(storages: Storages) -> None:
    with pytest.raises(
        UnsoundTensorError, match="declares 20 bytes, which its record does not hold: it has 16"
    ):
        storages.typed(("storage", FLOAT, "0", "cpu", 5))
    with pytest.raises(DamagedPickleError, match="storage '1' is not in the file"):
        storages.typed(("storage", FLOAT, "1", "cpu", 4))
    storages.typed(("storage", FLOAT, "0", "cpu", 4))
    with pytest.raises(DamagedPickleError, match="has two sizes"):
        storages.typed(("storage", FLOAT, "0", "cpu", 3))
