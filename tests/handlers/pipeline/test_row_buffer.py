import numpy as np
import pytest

from statehouse.handlers.errors import NonFiniteRowsError
from statehouse.handlers.pipeline.row_buffer import RowBuffer


@pytest.fixture
def buffer():
    return RowBuffer(3, (2,), np.dtype("f4"), pinned=False)


def test_rows_follow_one_another_in_the_buffer_s_own_dtype(buffer):
    one, two = np.array([[1, 2]], "f8"), np.array([[3, 4], [5, 6]], "f4")
    rows = buffer.gather([one, two])
    assert (rows.tolist(), rows.dtype) == ([[1, 2], [3, 4], [5, 6]], np.float32)
    assert np.shares_memory(buffer.gather([one]), rows)


def test_more_rows_than_fit_get_room_of_their_own(buffer):
    part = np.ones((2, 2), "f4")
    assert buffer.gather([part, part]).shape == (4, 2)


def test_parts_that_are_not_finite_are_named(buffer):
    good, large, nan = np.ones((1, 2)), np.array([[1, 1e39]]), np.array([[np.nan, 1]])
    with pytest.raises(NonFiniteRowsError) as caught:
        buffer.gather([large, good, nan])
    assert caught.value.parts == [0, 2]
    assert buffer.gather([good]).tolist() == [[1, 1]]
