"""Which whole numbers a network has entries for."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from statehouse.handlers.errors import InvalidInputError, RowsRefusedError
from statehouse.handlers.request import Request
from statehouse.handlers.whole_numbers import refuse_beyond, table_size
from statehouse.models import TensorTask

CPU = torch.device("cpu")


class Encoder(nn.Module):
    """Embeds tokens, their positions and their segments, as many encoders do."""

    def __init__(self):
        super().__init__()
        self.positions, self.segments, self.tokens = (
            nn.Embedding(4, 2),
            nn.Embedding(2, 2),
            nn.Embedding(30, 2),
        )

    def forward(self, x):
        places = torch.arange(x.shape[1])
        return self.tokens(x) + self.positions(places) + self.segments(torch.zeros_like(x))


class Changed(nn.Module):
    """Embeds what it makes of the row's numbers, which any number may become."""

    def __init__(self, change):
        super().__init__()
        self.change, self.tokens = change, nn.Embedding(7, 2)

    def forward(self, x):
        return self.tokens(self.change(x))


class Marked(nn.Module):
    """Embeds the tokens, and beside them whether each is one."""

    def __init__(self):
        super().__init__()
        self.tokens, self.marks = nn.Embedding(30, 2), nn.Embedding(2, 2)

    def forward(self, x):
        return self.tokens(input=x) + self.marks((x != 0).long())


@pytest.mark.parametrize(
    ("module", "row_shape", "size"),
    [
        (Encoder(), (4,), 30),
        (nn.Sequential(nn.Flatten(), nn.Embedding(7, 2)), (2, 3), 7),
        (
            nn.Sequential(nn.ModuleDict({"used": nn.Embedding(5, 2), "not": nn.Embedding(3, 2)})["used"]),
            (1,),
            5,
        ),
        (Changed(lambda x: x.int()), (4,), 7),
        (Changed(lambda x: x % 7), (4,), None),
        (Changed(lambda x: x.clamp(max=6)), (4,), None),
        (Changed(lambda x: torch.where(x < 7, x, 0)), (4,), None),
        (Marked(), (4,), 30),
        (nn.EmbeddingBag(10, 2), (4,), 10),
        (nn.Linear(2, 2), (2,), None),  # it cannot take them at all
        (nn.Identity(), (2,), None),
    ],
)
def test_it_is_the_table_that_the_row_itself_is_looked_up_in(module, row_shape, size):
    assert table_size(module, row_shape, CPU) == size
    assert not any(each._forward_pre_hooks for each in module.modules())


def test_numbers_without_an_entry_are_refused_row_by_row():
    refuse_beyond(np.array([[0, 9]]), 10)
    refuse_beyond(np.array([[-1, 10]]), None)
    with pytest.raises(InvalidInputError, match="has -1, 10; expected whole numbers from 0 to 9"):
        refuse_beyond(np.array([[10, -1]]), 10)
    with pytest.raises(InvalidInputError, match="has 10, 11, 12, 13, 14 and 2 more;"):
        refuse_beyond(np.arange(10, 17)[np.newaxis], 10)
    with pytest.raises(RowsRefusedError) as refused:
        refuse_beyond(np.array([[1], [10], [2], [-3]]), 10)
    assert refused.value.rows == [1, 3]


def test_who_sends_one_does_not_undo_the_batch_of_the_others(make_handler, caplog):
    handler = make_handler("token_net", {}, TensorTask(input_shape=[3], dtype="int64"))
    bodies = [json.dumps({"inputs": [1, 2, last]}).encode() for last in (3, 10, 9)]
    answers = handler.answer([Request(body, "application/json") for body in bodies])
    assert [each.status for each in answers] == [200, 422, 200]
    assert "from 0 to 9" in json.loads(answers[1].body)["detail"]
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["one_hot", "index"])
def test_a_table_of_another_kind_is_the_client_s_fault_too(kind, make_handler):
    handler = make_handler("lookup_net", {"kind": kind}, TensorTask(input_shape=[3], dtype="int64"))
    bodies = [json.dumps({"inputs": [1, 2, last]}).encode() for last in (3, 10)]
    good, bad = handler.answer([Request(body, "application/json") for body in bodies])
    assert (good.status, bad.status) == (200, 422)
    assert "no entry for one of the input's numbers, from 1 to 10" in json.loads(bad.body)["detail"]
