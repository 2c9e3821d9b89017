import json

from statehouse.handlers.errors import InvalidInputError, RowsRefusedError, TooLargeError
from statehouse.handlers.pipeline.problem import problem_response
from statehouse.handlers.request import Request


def test_a_problem_says_what_it_is():
    response = problem_response(TooLargeError("Too many."))
    assert (response.status, response.content_type) == (413, "application/problem+json")
    assert json.loads(response.body) == {
        "type": "urn:statehouse:problem:too-large",
        "title": "The request is too large",
        "status": 413,
        "detail": "Too many.",
    }


TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_problem_names_the_request_by_the_client_s_id_or_its_trace_s():
    def named(**fields):
        return json.loads(problem_response(TooLargeError("Too many."), Request(b"", **fields)).body)[
            "request_id"
        ]

    assert named(traceparent=TRACEPARENT) == "0af7651916cd43dd8448eb211c80319c"
    assert named(traceparent=TRACEPARENT, given_id=b"mine-1") == "mine-1"


def test_v2_has_the_reason_where_its_clients_look():
    assert json.loads(problem_response(TooLargeError("Too many."), Request(b"", form="v2")).body)[
        "error"
    ].endswith("Too many.")


def test_every_bad_row_is_listed_and_the_first_hundred_explained():
    problems = {row: InvalidInputError(f"row {row} is wrong") for row in range(0, 400, 2)}
    document = json.loads(problem_response(RowsRefusedError(problems, 400)).body)
    assert document["rows"] == list(range(0, 400, 2))
    assert len(document["errors"]) == 100
    assert document["errors"][1] == {
        "row": 2,
        "type": "urn:statehouse:problem:invalid-input",
        "detail": "row 2 is wrong",
    }
