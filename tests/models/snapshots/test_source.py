"""What an architecture module consists of, found without running any of it."""

import shutil
import sys
from pathlib import Path

import pytest

import statehouse.models
from statehouse.models.errors import ModuleNotThereError
from statehouse.models.snapshots.source import find_source


def write(folder, **texts):
    """Write modules by their dotted names, with `_in_` for a dot; none may be run."""
    for name, text in texts.items():
        path = folder / f"{name.replace('_in_', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise SystemExit('this was run')\n{text}\n")


def paths(name, folder):
    return sorted(find_source(name, [folder]).files)


def test_a_module_is_one_file_and_not_what_lies_beside_it(tmp_path):
    write(tmp_path, nets="import torch, os", train="import nets")
    assert paths("nets", tmp_path) == ["nets.py"]


def test_a_package_is_all_that_lies_in_it_whatever_module_of_it_is_named(tmp_path):
    write(tmp_path, project_in___init__="", project_in_nets="", project_in_deep_in_more="")
    (tmp_path / "project" / "words.txt").write_text("a b")
    expected = ["project/__init__.py", "project/deep/more.py", "project/nets.py", "project/words.txt"]
    assert paths("project", tmp_path) == paths("project.nets", tmp_path) == expected


def test_what_it_imports_from_beside_it_is_its_code_too(tmp_path):
    write(
        tmp_path,
        nets="def build():\n    import blocks.wide\n    from shared.layers import norm",
        blocks_in___init__="from .. import nothing",
        blocks_in_wide="from . import deep\nimport helper",
        helper="import nets",
        shared_in_layers="from . import more",
        shared_in_more="",
        shared_in_unused="",
        unrelated="",
    )
    assert paths("nets", tmp_path) == [
        *("blocks/__init__.py", "blocks/wide.py", "helper.py", "nets.py"),
        *("shared/layers.py", "shared/more.py"),  # a folder that is no package: only what is imported
    ]


def test_pythons_own_modules_and_ours_are_never_somebodys_code(tmp_path):
    write(tmp_path, nets="import queue, statehouse\nfrom models import register_architecture", queue="")
    (tmp_path / "models").symlink_to(Path(statehouse.models.__file__).parent)  # as in a checkout
    assert paths("nets", tmp_path) == ["nets.py"]
    (tmp_path / "models").unlink()
    write(tmp_path, models_in___init__="")
    assert paths("nets", tmp_path) == ["models/__init__.py", "nets.py"]


def test_of_installed_packages_only_the_one_that_is_named(tmp_path):
    installed = tmp_path / "lib" / "site-packages"
    write(installed, project_in___init__="import library", library="")
    assert paths("project", installed) == ["project/__init__.py"]


def test_a_file_that_is_no_python_is_told_when_it_is_imported(tmp_path):
    write(tmp_path, nets="1 +")
    assert paths("nets", tmp_path) == ["nets.py"]


def test_the_digest_goes_by_the_code_and_not_by_the_place(tmp_path):
    write(tmp_path / "here", nets="import helper", helper="")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    here, there = (find_source("nets", [tmp_path / each]) for each in ("here", "there"))
    assert here.digest == there.digest
    write(tmp_path / "there", helper="1")
    assert find_source("nets", [tmp_path / "there"]).digest != here.digest


def test_an_entry_point_leads_to_its_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, project_in___init__="", project_in_nets="")
    info = tmp_path / "my_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-nets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[statehouse.architectures]\nmy-nets = project.nets:register\n")
    found = find_source("my-nets")
    assert (found.module, found.root, len(found.files)) == ("project.nets", tmp_path, 2)


def test_one_that_only_an_import_hook_knows_is_found(tmp_path, monkeypatch):
    """As editable installs of setuptools are."""
    write(tmp_path, hooked="")

    class Hook:
        def find_spec(self, name, path=None, target=None):
            from importlib.util import spec_from_file_location

            return spec_from_file_location(name, tmp_path / "hooked.py") if name == "hooked" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook()])
    assert find_source("hooked").root == tmp_path


@pytest.mark.parametrize("name", ["absent_nets", "absent.deeper", "sys", "__main__", "/etc/nets", "../nets"])
def test_what_is_not_there_says_where_it_was_looked_for(tmp_path, name):
    with pytest.raises(ModuleNotThereError, match=f"no module '{name}', and no entry point .*{tmp_path}"):
        find_source(name, [tmp_path])
