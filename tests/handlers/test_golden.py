import pytest

from statehouse.handlers.errors import GoldenMismatchError
from statehouse.handlers.golden import Golden, compare, read_golden, write_golden
from statehouse.models.example import Example


def ranking(*pairs):
    entries = [{"label": label, "score": score} for label, score in pairs]
    return {**entries[0], "top_k": entries}


@pytest.mark.parametrize(
    ("expected", "actual", "differences"),
    [
        ({"a": [1.0, 2]}, {"a": [1.00001, 2]}, []),
        ({"a": [1.0]}, {"a": [1.1]}, ["$.a[0]: expected 1.0 ± 0.001, got 1.1"]),
        ({"a": 1000.0}, {"a": 1000.5}, []),  # relative beyond 1
        ({"a": 1, "b": 2}, {"a": 1, "c": 3}, ["$.b: missing", "$.c: not expected"]),
        ([1, 2], [1], ["$: expected 2 elements, got 1"]),
        ({"a": True}, {"a": 1}, ["$.a: expected true, got 1"]),
        ("x", "y", ['$: expected "x", got "y"']),
        (None, None, []),
    ],
)
def test_differences_are_named_by_path(expected, actual, differences):
    assert compare(expected, actual, 1e-3) == differences


def test_a_near_tie_may_be_ranked_either_way():
    before = ranking(("a", 0.30001), ("b", 0.3), ("c", 0.2))
    assert compare(before, ranking(("b", 0.30002), ("a", 0.3), ("d", 0.1999)), 1e-3) == []


def test_another_winner_is_a_difference():
    before = ranking(("a", 0.6), ("b", 0.3))
    differences = compare(before, ranking(("b", 0.6), ("a", 0.3)), 1e-3)
    assert "$.label: expected 'a', got 'b'" in differences
    assert any(".top_k[b]" in difference for difference in differences)


def test_golden_examples_survive_the_file(tmp_path):
    example = Example(content_type="image/png", body=b"\x00\xff", response={"label": "1"})
    golden = Golden(source="file", examples=[example])
    write_golden(tmp_path / "golden.json", golden)
    assert read_golden(tmp_path / "golden.json") == golden


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"source": "file", "examples": []}', b"\xff"])
def test_a_file_without_golden_examples_is_one_error(tmp_path, content):
    path = tmp_path / "golden.json"
    path.write_bytes(content)
    with pytest.raises(GoldenMismatchError, match=r"golden\.json"):
        read_golden(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(GoldenMismatchError, match="No such file"):
        read_golden(tmp_path / "golden.json")
