"""What `load_pretrained` did, as it is printed."""

from __future__ import annotations

from pathlib import Path

from statehouse.models.tensors.state_dict import Mismatch
from statehouse.models.tensors.tensor_info import TensorInfo
from statehouse.models.training.pretrained_report import PretrainedReport

WEIGHT, BIAS = TensorInfo("float32", (1000, 4)), TensorInfo("float32", (3,))
EXPECTED = {"body.weight": WEIGHT, "body.bias": BIAS, "head.weight": WEIGHT, "scale": BIAS}


def test_each_part_is_one_line():
    report = PretrainedReport(
        Path("old.pt"),
        EXPECTED,
        loaded=("body.weight", "body.bias"),
        skipped=(Mismatch("head.weight", WEIGHT, BIAS),),
        not_chosen=("z", "b"),
        unexpected=("tail.weight",),
        frozen=("body.weight",),
        held=("norm",),
    )
    assert report.left == ("head.weight", "scale")
    assert str(report).splitlines() == [
        "2 of 4 tensors from old.pt",
        "  loaded: body.* (2 tensors, 4,003 values)",
        "  left at its initial value: head.weight (4,000 values)",
        "  left at its initial value: scale (3 values)",
        "  frozen: body.weight (4,000 values)",
        "  held at its loaded statistics: norm",
        "  skipped: head.weight is float32 [3] in the file, float32 [1000, 4] here",
        "  no place here for: tail.weight",
        "  not chosen: b, z",
    ]


def test_what_did_not_happen_has_no_line():
    report = PretrainedReport(Path("old.pt"), EXPECTED, loaded=tuple(EXPECTED))
    assert report.left == ()
    assert [line.partition(":")[0] for line in report.lines()] == ["  loaded"] * 3


def test_long_lists_end():
    report = PretrainedReport(
        Path("old.pt"), {}, loaded=(), unexpected=tuple(f"n{index}" for index in range(23))
    )
    assert report.lines()[-1].endswith("n18, n19 and 3 more")
