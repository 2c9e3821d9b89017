import json

import pytest

from statehouse.scripts.errors import ManifestError
from statehouse.scripts.store.manifest import parse_manifest


@pytest.fixture
def content(make_version):
    return json.loads((make_version() / "version.json").read_bytes())


def test_reads_what_it_wrote(make_version):
    written = (make_version() / "version.json").read_bytes()
    assert parse_manifest(written).to_json() == written


def test_how_rows_were_proved_is_said_where_it_was_kept(content):
    assert "row_proof" not in content
    proof = {"rows": 4, "batch_sizes": [2, 3], "tolerance": 1e-4, "row_by_row": False}
    written = parse_manifest(json.dumps(content | {"row_proof": proof}).encode()).to_json()
    assert json.loads(written)["row_proof"] == proof


def test_reports_every_problem_at_once(content):
    content |= {"digest": "abc", "parameter_count": -1, "handler": "evil"}
    del content["task"]
    with pytest.raises(ManifestError) as caught:
        parse_manifest(json.dumps(content).encode())
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    for expected in (
        "digest",
        "'abc'",
        "parameter_count",
        "-1",
        "handler: there is no such",
        "task: Field required",
    ):
        assert expected in problems


@pytest.mark.parametrize("task", ["os.system", "fork_server", ""])
def test_a_task_that_is_none_of_ours_is_refused(content, task):
    content["task"] = task
    with pytest.raises(ManifestError, match=rf"task: .*{task}.* is no task; expected one of image_classif"):
        parse_manifest(json.dumps(content).encode())


@pytest.mark.parametrize("extra", ["handler.py", "MAR-INF"])
def test_lists_exactly_its_two_files(content, extra):
    content["files"][extra] = content["files"]["golden.json"]
    with pytest.raises(ManifestError, match=rf"{extra}.*but a version has exactly"):
        parse_manifest(json.dumps(content).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff\xfe", b"null"])
def test_other_text_is_no_manifest(text):
    with pytest.raises(ManifestError, match=r"version\.json is not a version's manifest"):
        parse_manifest(text)


def test_a_newer_format_is_refused(content):
    content["format_version"] = 2
    with pytest.raises(ManifestError, match=r"format_version: Input should be 1 \(found 2\)"):
        parse_manifest(json.dumps(content).encode())
