"""What goes wrong in a worker: what of it the client is told, and what the supervisor."""

from collections.abc import Iterator

import pytest

from statehouse.handlers import errors
from statehouse.handlers.errors import (
    HandlerError,
    InvalidInputError,
    NonFiniteRowsError,
    RequestError,
    RowsRefusedError,
    WorkerStartError,
    WrongShapeError,
)
from statehouse.models.errors import StatehouseError


def below(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


REQUEST_ERRORS = [each for each in below(RequestError) if each.__module__ == errors.__name__]


def test_all_are_of_one_tree_and_stand_in_its_picture() -> None:
    for kind in below(HandlerError):
        if kind.__module__ == errors.__name__:
            assert issubclass(kind, StatehouseError)
            assert f"─ {kind.__name__} " in str(errors.__doc__)


def test_each_problem_has_a_name_of_its_own() -> None:
    slugs = [kind.slug for kind in (RequestError, *REQUEST_ERRORS)]
    assert len(set(slugs)) == len(slugs)
    assert all(400 <= kind.status < 600 for kind in REQUEST_ERRORS)


@pytest.mark.parametrize("kind", [each for each in REQUEST_ERRORS if each is not RowsRefusedError])
def test_the_picture_has_each_status(kind: type[RequestError]) -> None:
    [line] = [line for line in str(errors.__doc__).splitlines() if f"─ {kind.__name__} " in line]
    assert str(kind.status) in line


def test_a_worker_that_cannot_start_lists_its_problems() -> None:
    error = WorkerStartError("it does not fit:", ["one", "two"])
    assert (str(error), error.problems) == ("it does not fit:\n  one\n  two", ["one", "two"])
    assert str(WorkerStartError("alone")) == "alone"


def test_a_problem_has_members_where_there_is_more_to_say() -> None:
    assert RequestError("why").members() == {}
    assert RequestError("why", errors=[{"detail": "x"}]).members() == {"errors": [{"detail": "x"}]}


def test_every_bad_row_is_numbered_and_the_first_hundred_are_told() -> None:
    problems: dict[int, RequestError] = {row: WrongShapeError(f"row {row}") for row in range(299, 0, -2)}
    problems[1] = InvalidInputError("first", errors=[{"detail": str(number)} for number in range(30)])
    error = RowsRefusedError(problems, 300)
    assert error.detail == "Of 300 rows 150 cannot be taken; the first is row 1: first"
    members = error.members()
    assert members["rows"] == list(range(1, 300, 2))
    assert len(members["errors"]) == RowsRefusedError.described_rows
    first, second = members["errors"][:2]
    assert (first["row"], first["type"]) == (1, "urn:statehouse:problem:invalid-input")
    assert len(first["errors"]) == 20
    assert second == {"row": 3, "type": "urn:statehouse:problem:wrong-shape", "detail": "row 3"}


def test_rows_that_are_not_finite_are_told_by_their_requests() -> None:
    error = NonFiniteRowsError((2, 5))
    assert (error.parts, str(error)) == ([2, 5], "the rows of 2 requests are not finite")
