"""What makes a version visible in object storage, and what of it is believed."""

import json

import pytest

from statehouse.scripts.errors import ManifestError, VersionFolderError
from statehouse.scripts.store.manifest import MAX_MANIFEST_BYTES, FileRecord
from statehouse.scripts.store.published import Head, head_key, key_of, manifest_of, parse_head

RECORD = FileRecord(sha256="b" * 64, size_bytes=7)
HEAD = Head(digest="a" * 64, manifest=RECORD)


def problems(ask):
    with pytest.raises(VersionFolderError) as caught:
        ask()
    return caught.value.problems


def test_a_head_is_read_as_it_was_written():
    assert parse_head("digits-1.0", HEAD.to_json()) == HEAD
    assert HEAD.to_json().endswith(b"\n")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"digest": "a"}, "digits-1.0: published.json: digest"),
        ({"format_version": 2}, "digits-1.0: published.json: format_version"),
        ({"more": 1}, "digits-1.0: published.json: more"),
        (
            {"manifest": {"sha256": "b" * 64, "size_bytes": -1}},
            "digits-1.0: published.json: manifest.size_bytes",
        ),
        (
            {"manifest": {"sha256": "b" * 64, "size_bytes": MAX_MANIFEST_BYTES + 1}},
            f"digits-1.0: version.json has more than {MAX_MANIFEST_BYTES} bytes",
        ),
    ],
)
def test_what_is_no_head_says_what_is_wrong(changed, told):
    content = json.dumps(json.loads(HEAD.to_json()) | changed).encode()
    [problem] = problems(lambda: parse_head("digits-1.0", content))
    assert problem.startswith(told)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]"])
def test_what_is_no_json_object_is_no_head(content):
    assert problems(lambda: parse_head("digits-1.0", content))[0].startswith("digits-1.0: published.json: ")


def test_a_manifest_is_of_its_version_and_of_the_head_s_digest(make_version):
    content = (make_version("digits", "1.0") / "version.json").read_bytes()
    head = HEAD.model_copy(update={"digest": json.loads(content)["digest"]})
    assert manifest_of("digits-1.0", head, content).name == "digits"
    assert problems(lambda: manifest_of("digits-1.1", head, content)) == [
        "digits-1.1: version.json is of digits 1.0"
    ]
    [problem] = problems(lambda: manifest_of("digits-1.0", HEAD, content))
    assert problem == f"digits-1.0: digest: published.json says {'a' * 64}, version.json {head.digest}"
    with pytest.raises(ManifestError):
        manifest_of("digits-1.0", head, b"{}")


def test_files_lie_by_their_content_and_the_head_by_the_version():
    assert key_of("digits-1.0", "checkpoint.pt", RECORD) == f"digits-1.0/{'b' * 64}/checkpoint.pt"
    assert head_key("digits-1.0") == "digits-1.0/published.json"
