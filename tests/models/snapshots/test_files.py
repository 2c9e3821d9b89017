import hashlib

import pytest

from statehouse.models.errors import SnapshotError
from statehouse.models.snapshots import files
from statehouse.models.snapshots.files import digest_of, is_in, read_folder, units_of

CODE = {"nets.py": b"x = 1\n", "blocks/__init__.py": b"", "blocks/data/words.txt": b"a b"}


def write(folder, content):
    for path, data in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def test_the_digest_is_that_of_what_sha256sum_says(tmp_path):
    write(tmp_path, CODE)
    lines = [f"{hashlib.sha256(CODE[path]).hexdigest()}  {path}\n" for path in sorted(CODE)]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert digest_of(read_folder(tmp_path)) == digest_of(dict(reversed(CODE.items()))) == expected


@pytest.mark.parametrize(
    "other",
    [
        CODE | {"nets.py": b"x = 2\n"},
        CODE | {"more.py": b""},
        {path.replace("words", "word"): content for path, content in CODE.items()},
    ],
)
def test_another_content_name_or_file_is_another_digest(other):
    assert digest_of(other) != digest_of(CODE)


def test_what_python_compiles_and_what_is_hidden_is_no_code(tmp_path):
    write(tmp_path, CODE)
    write(
        tmp_path, {"__pycache__/nets.cpython-311.pyc": b"?", "old.pyc": b"?", ".git/HEAD": b"?", ".swp": b"?"}
    )
    (tmp_path / "blocks" / "up").symlink_to(tmp_path)
    assert digest_of(read_folder(tmp_path)) == digest_of(CODE)


def test_more_than_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_BYTES", 1024)
    write(tmp_path, CODE | {"blocks/weights.pt": bytes(2000)})
    with pytest.raises(SnapshotError, match="let weights and data lie outside"):
        read_folder(tmp_path)


def test_units_are_modules_of_one_file_and_packages_with_all_in_them():
    paths = [*CODE, "company/team/nets.py", "company/team/deep/__init__.py", "company/team/deep/x/y.py"]
    assert units_of(paths) == {"nets", "blocks", "company.team.nets", "company.team.deep"}
    assert is_in("blocks.wide", {"blocks"})
    assert not is_in("blocks_of_mine", {"blocks"})
