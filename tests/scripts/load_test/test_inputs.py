"""What is sent: golden examples, files, folders, JSON lines, in any mixture."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from statehouse.handlers.golden import read_golden
from statehouse.scripts.errors import ArgumentError
from statehouse.scripts.load_test.inputs import read_inputs


@pytest.fixture
def golden_path(tmp_path: Path) -> Path:
    file = tmp_path / "golden.json"
    example = {
        "content_type": "image/png",
        "body_base64": b64encode(b"\x89PNG1").decode(),
        "response": {"x": 1},
    }
    file.write_text(json.dumps({"source": "made", "tolerances": {}, "examples": [example, example]}))
    assert len(read_golden(file).examples) == 2
    return file


def test_without_a_source_the_golden_examples_are_sent(golden_path: Path) -> None:
    assert read_inputs((), golden_path) == read_inputs(["goldens"], golden_path)
    assert [body.content_type for body in read_inputs((), golden_path)] == ["image/png"] * 2


def test_sources_are_read_in_order_and_told_apart_by_their_bytes(golden_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bodies"
    folder.mkdir()
    (folder / "b.json").write_text('{"inputs": 2}')
    (folder / "a.raw").write_bytes(b"\0\0\0\0")
    (folder / ".hidden").write_text("x")
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"inputs": 3}\n\n{"inputs": 4}\n')
    one = tmp_path / "one.jpg"
    one.write_bytes(b"\xff\xd8\xff0")
    found = read_inputs([str(folder), str(lines), str(one), "goldens"], golden_path)
    assert [body.content for body in found[:5]] == [
        b"\0\0\0\0", b'{"inputs": 2}', b'{"inputs": 3}', b'{"inputs": 4}', b"\xff\xd8\xff0",
    ]  # fmt: skip
    types = ["application/octet-stream", *["application/json"] * 3, "image/jpeg", *["image/png"] * 2]
    assert [body.content_type for body in found] == types


def test_what_holds_no_request_is_refused(golden_path: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("")
    (tmp_path / "nothing").mkdir()
    for source, words in (
        (tmp_path / "none", "No such file"),
        (tmp_path / "nothing", "holds no request"),
        (empty, "is empty"),
    ):
        with pytest.raises(ArgumentError, match=words):
            read_inputs([str(source)], golden_path)
