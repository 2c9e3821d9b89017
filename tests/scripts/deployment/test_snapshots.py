"""What a deployment keeps of architecture modules, and what it says where it has not what a version needs."""

import hashlib
import os

import pytest

from statehouse.models.snapshots.source import find_source
from statehouse.scripts.deployment.snapshots import (
    IMAGE_VARIABLE,
    CodeOnDisk,
    Snapshots,
    needs_modules_on_disk,
)
from statehouse.scripts.errors import DeploymentWriteError, UnknownCodeError
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import ArchitectureCode, parse_manifest


@pytest.fixture
def source(tmp_path):
    """A module in two files."""
    (tmp_path / "kept_nets.py").write_text("import kept_blocks")
    (tmp_path / "kept_blocks.py").write_text("")
    return find_source("kept_nets", [tmp_path])


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots.of_deployment(tmp_path / "deployment.yaml")


@pytest.fixture
def manifest(make_version):
    """That of a version of somebody's own architecture; with code where `code` is given."""
    published = read_folder(make_version("digits", "1.0")).manifest

    def make(code=None, **told):
        told = {"architecture": "kept_net", "architecture_code": code} | told
        return published.model_copy(update=told)

    return make


def code_of(source):
    return ArchitectureCode(module=source.module, digest=source.digest)


def test_a_copy_is_the_operators_own_and_is_kept_once(source, snapshots, tmp_path):
    assert snapshots.add(source)
    assert not snapshots.add(source)
    folder = snapshots.find(code_of(source), "net 1.0")
    assert folder == tmp_path / "deployment.architectures" / source.digest
    assert sorted(each.name for each in folder.iterdir()) == ["kept_blocks.py", "kept_nets.py"]
    assert [
        oct(each.stat().st_mode & 0o777) for each in (snapshots.folder, folder, folder / "kept_nets.py")
    ] == [
        "0o700",
        "0o700",
        "0o400",
    ]
    assert [each.name for each in snapshots.folder.iterdir()] == [source.digest]  # no draft is left
    [kept] = snapshots.kept()
    assert (kept.modules, kept.files) == (["kept_blocks", "kept_nets"], ["kept_blocks.py", "kept_nets.py"])
    assert snapshots.have("kept_nets")
    assert not snapshots.have("kept_net")


def test_code_that_is_not_there_is_refused_with_the_command_that_adds_it(source, snapshots):
    with pytest.raises(UnknownCodeError) as caught:
        snapshots.find(code_of(source), "net 1.0")
    assert str(caught.value).startswith(
        f"net 1.0 was proved by the module kept_nets of digest {source.digest[:12]}"
    )
    assert str(caught.value).splitlines()[-1] == (
        f"  statehouse architecture add kept_nets --digest {source.digest} --from FOLDER"
    )


def test_code_that_was_changed_is_refused_and_put_right(source, snapshots):
    snapshots.add(source)
    file = snapshots.place(source.digest) / "kept_nets.py"
    file.chmod(0o600)
    file.write_text("changed")
    with pytest.raises(UnknownCodeError, match="was changed in"):
        snapshots.find(code_of(source), "net 1.0")
    assert snapshots.kept() == []
    assert snapshots.add(source)
    assert snapshots.find(code_of(source), "net 1.0") == snapshots.place(source.digest)
    assert [each.name for each in snapshots.folder.iterdir()] == [source.digest]


def test_a_place_that_cannot_be_written_leaves_nothing(source, tmp_path):
    (tmp_path / "a_file").touch()
    with pytest.raises(DeploymentWriteError, match="cannot be written"):
        Snapshots(tmp_path / "a_file" / "here").add(source)


def test_an_image_has_its_own_and_takes_no_other_while_it_runs(source, tmp_path, monkeypatch):
    image = tmp_path / "image"
    monkeypatch.setitem(os.environ, IMAGE_VARIABLE, str(image))
    snapshots = Snapshots.of_deployment(tmp_path / "deployment.yaml")
    with pytest.raises(UnknownCodeError, match="RUN statehouse architecture add kept_nets"):
        snapshots.keep(source)
    assert not image.exists()
    snapshots.add(source)  # as when it is built
    snapshots.keep(source)
    assert snapshots.find(code_of(source), "net 1.0") == image / source.digest


def test_a_file_on_disk_that_is_newer_is_told(source, manifest, tmp_path):
    on_disk = CodeOnDisk(tmp_path)
    version = manifest(code_of(source))
    assert on_disk.changed(version, []) is None
    (tmp_path / "kept_blocks.py").write_text("1")
    told = on_disk.changed(version, [])
    assert told is not None
    assert told.startswith("kept_nets on disk is newer than the code that proved this version")
    (tmp_path / "kept_blocks.py").write_text("")
    assert on_disk.changed(version, []) is None
    (tmp_path / "kept_nets.py").unlink()
    assert on_disk.changed(version, []) is None  # nothing is newer


def test_a_file_that_is_added_to_a_package_is_noticed(tmp_path):
    (tmp_path / "kept_project").mkdir()
    (tmp_path / "kept_project" / "__init__.py").touch()
    on_disk = CodeOnDisk(tmp_path)
    before = on_disk.seen("kept_project")
    assert on_disk.seen("kept_project") is before  # read once
    (tmp_path / "kept_project" / "more.py").touch()
    after = on_disk.seen("kept_project")
    assert (len(before.files), len(after.files)) == (1, 2)


def test_a_version_from_before_is_told_when_its_file_has_changed(source, manifest, tmp_path):
    on_disk = CodeOnDisk(tmp_path)
    here = hashlib.sha256(source.files["kept_nets.py"]).hexdigest()
    assert on_disk.changed(manifest(architecture_source_digest=here), ["kept_nets"]) is None
    told = on_disk.changed(manifest(architecture_source_digest="0" * 64), ["kept_nets"])
    assert told is not None
    assert "published before code was kept" in told
    assert on_disk.changed(manifest(architecture_source_digest=None), ["kept_nets"]) is None


@pytest.mark.parametrize(
    ("told", "needed"),
    [
        ({}, True),
        ({"architecture": "mlp"}, False),
        ({"architecture": "torchvision:resnet18"}, False),
        ({"architecture_code": ArchitectureCode(module="nets", digest="0" * 64)}, False),
    ],
)
def test_only_somebodys_own_from_before_need_what_is_on_disk(manifest, told, needed):
    assert needs_modules_on_disk(manifest(**told)) is needed


def test_a_manifest_says_nothing_of_code_where_there_is_none(manifest):
    assert b"architecture_code" not in manifest().to_json()
    code = ArchitectureCode(module="my.nets", digest="0" * 64)
    assert parse_manifest(manifest(code).to_json()).architecture_code == code
