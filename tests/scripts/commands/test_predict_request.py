from __future__ import annotations

import httpx
import pytest

from statehouse.handlers.bodies.content import content_type_of
from statehouse.scripts.commands.predict_request import answer_in, problem_lines, read_input
from statehouse.scripts.errors import CommandError


def test_input_is_a_file_or_json(tmp_path):
    file = tmp_path / "row.json"
    file.write_text('{"inputs": 1}')
    assert read_input(str(file)) == b'{"inputs": 1}'
    assert read_input("[1, 2]") == b"[1, 2]"
    with pytest.raises(CommandError, match=r"'row\.jsn' is neither a file nor JSON\. Give a file"):
        read_input("row.jsn")


def test_content_types_by_the_bytes():
    assert content_type_of(b"\x89PNG...") == "image/png"
    assert content_type_of(b"  [1]") == "application/json"
    assert content_type_of(b'{"inputs":\r\n\t[1') == "application/json"
    assert content_type_of(b"{\x00\x00?" + bytes(8)) == "application/octet-stream"
    assert content_type_of(b"\x00\x01") == "application/octet-stream"


def test_a_refusal_has_one_line_per_reason():
    problem = {
        "title": "The input does not fit this model",
        "detail": "The features do not fit: 'a' is missing.",
    }
    assert problem_lines(422, problem) == [
        "The input does not fit this model (422)",
        "  The features do not fit: 'a' is missing.",
    ]
    rows = problem | {"errors": [{"row": row, "detail": f"{row} is wrong"} for row in range(25)]}
    lines = problem_lines(422, rows)
    assert lines[:2] == ["The input does not fit this model (422)", "  row 0: 0 is wrong"]
    assert (len(lines), lines[-1]) == (22, "  and 5 more: see --json")


def test_torchserves_own_words():
    assert problem_lines(
        404, {"code": 404, "type": "ModelNotFoundException", "message": "Model not found: x"}
    ) == ["Model not found: x (404)"]


def test_an_answer_that_is_no_json():
    request = httpx.Request("POST", "http://127.0.0.1/predictions/x")
    with pytest.raises(CommandError, match="answered 502 with what is no JSON: b'<html>'"):
        answer_in(httpx.Response(502, content=b"<html>", request=request))
