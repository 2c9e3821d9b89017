"""What stands beside the weights: numbers, settings, and objects of libraries."""

from __future__ import annotations

import argparse
import datetime
import functools
import pathlib
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import torch
from tests.support.checkpoint_corpus import custom
from tests.support.checkpoint_corpus.nets import net, numbers
from tests.support.checkpoint_corpus.registry import saved
from torch.torch_version import TorchVersion

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def beside(**values: object) -> dict[str, object]:
    """Return a network's weights and these values."""
    return {"state_dict": net().state_dict(), **values}


def object_array() -> np.ndarray:
    """Return an array of anything."""
    array = np.empty(3, dtype=object)
    array[:] = [1, "two", [3.0]]
    return array


def omegaconf() -> object:
    """Return what Hydra's scripts save."""
    from omegaconf import OmegaConf

    return OmegaConf.create({"lr": 0.1, "net": {"widths": [3, 4], "act": "relu"}})


def scaler() -> object:
    """Return a fitted scaler of scikit-learn."""
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(ROWS.astype(np.float64))


saved("numpy_scalars", lambda: beside(
    best=np.float64(0.5), half=np.float32(0.25), count=np.int64(3), yes=np.bool_(True), small=np.uint8(7),
    complex=np.complex64(1 + 2j), text=np.str_("text"),
))  # fmt: skip
saved("numpy_arrays", lambda: beside(
    mean=ROWS, order=np.asfortranarray(ROWS), turned=ROWS.T, half=ROWS.astype(np.float16), one=np.array(1.5),
    whole=ROWS.astype(np.int32), flags=ROWS > 3, big=ROWS.astype(">f4"), empty=np.zeros((0, 3)), part=ROWS[1:, ::2],
))  # fmt: skip
saved("numpy_object_array", lambda: beside(classes=object_array(), names=np.array(["a", "bb"])))
saved("numpy_dtypes", lambda: beside(dtype=np.dtype("float32"), when=np.datetime64("2024-01-02")))
saved("torch_version", lambda: beside(version=TorchVersion("2.13.0+cpu"), epoch=3))
saved("paths_and_dates", lambda: beside(
    path=pathlib.PurePosixPath("runs/1"), here=pathlib.Path("runs/2"), when=datetime.datetime(2024, 1, 2, 3, 4, 5),
    day=datetime.date(2024, 1, 2), took=datetime.timedelta(seconds=90), at=datetime.time(3, 4),
    utc=datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
))  # fmt: skip
saved("collections", lambda: beside(
    counts=Counter(a=2, b=1), lists=defaultdict(list, a=[1, 2]), last=deque([1, 2, 3], maxlen=3),
    ordered=OrderedDict(b=1, a=2), unique={1, 2, 3}, frozen=frozenset({"a"}), nothing=None,
))  # fmt: skip
saved("plain_values", lambda: beside(
    number=3 + 4j, cut=slice(1, 5, 2), steps=range(0, 10, 3), text="ä\n\u20ac", raw=b"\x00\xff", large=2**80,
    minus=-(2**31) - 1, small=1e-300, endless=float("inf"), pair=(1, (2, [3])), both=bytearray(b"ab"), dots=...,
))  # fmt: skip
saved("exact_numbers", lambda: beside(price=Decimal("1.5"), third=Fraction(1, 3), id=uuid.UUID(int=7)))
saved("namespace", lambda: beside(args=argparse.Namespace(lr=0.1, arch="net", milestones=[3, 6])))
saved("simple_namespace", lambda: beside(args=SimpleNamespace(lr=0.1, mean=numbers(3))))
saved("with_nothing_beside", beside)
saved("enum", lambda: beside(stage=custom.Stage.DONE, level=custom.Level.LOW))
saved("dataclass", lambda: beside(config=custom.TrainConfig(), slots=custom.Slotted()))
saved("named_tuples", lambda: [custom.Pair(numbers(3), 2), custom.Typed(numbers(2), "bias")])
saved("object_of_the_script", lambda: beside(meter=custom.Meter(), meters={"loss": custom.Meter()}))
saved(
    "dict_and_list_subclasses",
    lambda: beside(config=custom.Settings(lr=0.1, mean=numbers(3)), all=custom.Registry([1, numbers(2)])),
)
saved("partial_and_functions", lambda: beside(
    norm=functools.partial(torch.nn.LayerNorm, eps=1e-6), call=custom.double, kind=torch.nn.Conv2d,
    loss=torch.nn.functional.relu,
))  # fmt: skip
saved("torch_values", lambda: beside(
    size=torch.Size([2, 3]), dtype=torch.bfloat16, device=torch.device("cpu"),
))  # fmt: skip
saved(
    "criterion_and_metric",
    lambda: beside(criterion=torch.nn.CrossEntropyLoss(weight=numbers(3)), pool=torch.nn.MaxPool2d(2)),
)
saved("distribution", lambda: beside(prior=torch.distributions.Normal(numbers(2), numbers(2).abs() + 1)))
saved("scaler_of_scikit_learn", lambda: beside(scaler=scaler()), needs=("sklearn",))
saved("omegaconf", lambda: beside(config=omegaconf()), needs=("omegaconf",), suffix=".ckpt")
saved("cycle", lambda: _cycle())


def _cycle() -> dict[str, object]:
    held = beside()
    held["again"] = [held["state_dict"], held["state_dict"]]
    return held
