from __future__ import annotations

import pytest
import torch

from statehouse.models import BatchOrder
from statehouse.models.errors import TrainingStateError


def test_each_epoch_has_every_row_once_in_another_order():
    order = BatchOrder(10, 4, seed=1)
    first, second = list(order), list(order)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert len(order) == 3
    for epoch in (first, second):
        assert sorted(row for batch in epoch for row in batch) == list(range(10))
    assert first != second
    assert order.epoch == 2


def test_seeds_differ_and_the_order_needs_no_other_random_numbers():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, same, other = (list(BatchOrder(50, 50, seed=seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert torch.equal(torch.get_rng_state(), state)


def test_an_incomplete_batch_can_be_dropped():
    order = BatchOrder(10, 4, drop_last=True)
    assert [len(batch) for batch in order] == [4, 4]
    assert len(order) == 2


@pytest.mark.parametrize("taken", [0, 1, 3, 4])
def test_it_goes_on_after_the_batch_that_was_last_given(taken):
    whole = BatchOrder(10, 4, seed=2)
    expected = [batch for _ in range(3) for batch in whole]
    order, got = BatchOrder(10, 4, seed=2), []
    while len(got) < taken:
        for batch in order:
            got.append(batch)
            if len(got) == taken:
                break
    resumed = BatchOrder(10, 4, seed=2)
    resumed.load_state_dict(order.state_dict())
    while resumed.epoch < 3:
        got += list(resumed)
    assert got == expected


def test_the_state_of_another_order_is_refused():
    order = BatchOrder(10, 4)
    with pytest.raises(TrainingStateError) as caught:
        order.load_state_dict(
            {"size": 9, "batch_size": 4, "seed": 0, "drop_last": False, "epoch": -1, "position": 7}
        )
    text = str(caught.value)
    assert "size is 10 here, 9 in the checkpoint" in text
    assert "epoch is -1" in text
    assert "position is 7" in text
    assert order.state_dict() == BatchOrder(10, 4).state_dict()


@pytest.mark.parametrize(
    ("arguments", "expected"), [((0, 0), "size is 0; .*batch_size is 0"), ((3, 4), "above size")]
)
def test_orders_that_make_no_sense(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        BatchOrder(*arguments, drop_last=True)
