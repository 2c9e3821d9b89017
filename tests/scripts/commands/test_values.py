"""Values as people type them."""

from pathlib import Path

import pytest

from statehouse.scripts.commands.values import parse_duration, parse_size, read_mapping, read_rules
from statehouse.scripts.errors import ArgumentError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("60", 60),
        ("30.0", 30),
        ("500ms", 0.5),
        ("2m", 120),
        ("1.5 h", 5400),
        (" 3 s ", 3),
        ("0.5ms", 0.0005),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "-1s", "0s", "0.0ms", "1d", "1s2", "nan s", "1e3s", ".5s", "1.s", "5 S", "9" * 400 + "s"],
)
def test_other_durations_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(
        ArgumentError, match=r"is no duration; give a number above 0, .* 500ms, 10s, 2m or 1h"
    ):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("77", 77),
        ("77B", 77),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("1.5 kb", 1500),
        ("2MiB", 2 << 20),
        ("2.3MB", 2_300_000),
        (" 1 gb ", 10**9),
        ("1TiB", 1 << 40),
        ("1tb", 10**12),
        ("1.001KB", 1001),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size_bytes: int) -> None:
    assert parse_size("--shard-size", text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "0", "0.4", "-1GB", "1 PB", "KB", "1e9", "1  GB", "1GB2", "9" * 16, "½GB"]
)
def test_other_sizes_are_refused_by_their_option(text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        parse_size("--shard-size", text)
    assert str(caught.value) == (
        f"--shard-size {text!r} is no size; expected a number and a unit, such as 500MB, 1GB or 2GiB."
    )


def test_a_mapping_is_json_or_a_file_of_json_or_yaml(tmp_path: Path) -> None:
    assert read_mapping("--config", None) is None
    assert read_mapping("--config", ' {"a": [1, null]}') == {"a": [1, None]}
    for name, content in {
        "a.json": '{"a": 1}',
        "a.yaml": "# what it is\na: 1\n",
        "flow.yaml": "{a: 1}",
        "blank.yaml": "\n{\n  a: 1,\n}\n",
    }.items():
        (tmp_path / name).write_text(content)
        assert read_mapping("--config", str(tmp_path / name)) == {"a": 1}


def test_what_is_neither_is_told_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="--config 'nothing' is neither JSON nor a file that can be read"):
        read_mapping("--config", "nothing")
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ArgumentError, match="is neither JSON nor a file"):
        read_mapping("--config", str(tmp_path / "binary"))


@pytest.mark.parametrize("given", ['{"a": 1', "{a: [}", '{"a": \t1}}'])
def test_broken_ones_say_where(given: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"--config .* cannot be read as JSON or YAML: "):
        read_mapping("--config", given)
    (tmp_path / "file").write_text(given)
    with pytest.raises(ArgumentError, match="cannot be read as JSON or YAML: "):
        read_mapping("--config", str(tmp_path / "file"))


@pytest.mark.parametrize(("content", "kind"), [("[1]", "list"), ("a", "str"), ("", "NoneType"), ("1", "int")])
def test_other_values_are_no_mapping(content: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(ArgumentError, match=f"--config is a {kind}; expected names and values, a mapping"):
        read_mapping("--config", str(tmp_path / "file"))


def test_rules_are_given_or_the_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_text("# comment\n a=b \n\n  # another\nc=d#e\n")
    assert read_rules(["x=y", f"@{file}", "z="]) == ["x=y", "a=b", "c=d#e", "z="]
    assert read_rules([]) == []


def test_a_file_of_rules_that_cannot_be_read_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff")
    for given in ("@nothing", f"@{tmp_path}", f"@{tmp_path / 'binary'}"):
        with pytest.raises(ArgumentError, match=r"the file cannot be read .*Give PATTERN=REPLACEMENT"):
            read_rules([given])


@pytest.mark.parametrize("text", ["[" * 5000, '{"a": ' * 50_000 + "1" + "}" * 50_000])
def test_what_is_nested_without_end_is_refused(text, tmp_path):
    file = tmp_path / "deep.yaml"
    file.write_text(text)
    with pytest.raises(ArgumentError, match="cannot be read as JSON or YAML"):
        read_mapping("--config", str(file))
