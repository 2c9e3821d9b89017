"""A kept copy of a module is imported as it is, whatever lies elsewhere, and several after another."""

import py_compile
import sys
from importlib import import_module
from importlib.util import cache_from_source

import pytest
import torch
from tests.net_text import net_text

from statehouse.models.architecture import build_model, list_architectures
from statehouse.models.errors import ArchitectureImportError, SnapshotError
from statehouse.models.snapshots.files import digest_of
from statehouse.models.snapshots.importing import import_snapshot
from statehouse.models.tasks.kinds import registered_inputs


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Writes a snapshot; on disk there are modules of the same names, that fail."""
    disk = tmp_path / "disk"
    disk.mkdir()
    for name in ("snap_nets", "snap_blocks"):
        (disk / f"{name}.py").write_text("raise RuntimeError('what is on disk was imported')")
    monkeypatch.syspath_prepend(disk)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))

    def write(factor, name="test_snap", **more):
        net = net_text(name, imports="from snap_blocks import FACTOR", forward="return FACTOR * x")
        files = {"snap_nets.py": net, "snap_blocks.py": f"FACTOR = {factor}"} | more
        content = {path: text.encode() for path, text in files.items()}
        folder = tmp_path / digest_of(content)
        for path, data in content.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    yield write
    for each in [each for each in sys.modules if each.startswith("snap_")]:
        del sys.modules[each]


def doubled(name):
    return build_model(name, {"width": 1})(torch.ones(1)).item()


def test_exactly_this_code_is_imported_and_the_last_has_the_names(make):
    one, two = make(1), make(2)
    assert import_snapshot(one, "snap_nets", one.name) == ["test_snap"]
    built = build_model("test_snap", {"width": 1})
    assert import_snapshot(two, "snap_nets", two.name) == ["test_snap"]
    assert doubled("test_snap") == 2
    assert built(torch.ones(1)).item() == 1  # what was built goes on
    import_snapshot(one, "snap_nets", one.name)
    assert doubled("test_snap") == 1


def test_what_the_other_registered_is_registered_no_more(make):
    one, two = make(1, name="test_snap_of_one"), make(2, name="test_snap_of_two")
    import_snapshot(one, "snap_nets", one.name)
    import_snapshot(two, "snap_nets", two.name)
    known = set(list_architectures())
    assert "test_snap_of_two" in known
    assert "test_snap_of_one" not in known


def test_relative_imports_and_those_that_come_later_stay_inside(make):
    package = {
        "snap_project/__init__.py": "from . import nets\ndef later():\n    from .deep import late\n    return late.WHO",
        "snap_project/nets.py": "import snap_project.deep.late\nfrom snap_blocks import FACTOR",
        "snap_project/deep/late.py": "WHO = __file__",
    }
    folder = make(3, **package)
    assert import_snapshot(folder, "snap_project", folder.name) == []
    project = import_module("snap_project")
    assert project.later() == str(folder / "snap_project" / "deep" / "late.py")
    assert (project.nets.FACTOR, project.nets.__file__) == (3, str(folder / "snap_project" / "nets.py"))


def test_no_bytecode_is_written_or_believed(make, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder = make(4)
    other = tmp_path / "other.py"
    other.write_text("raise RuntimeError('what a cache holds was run')")
    cached = cache_from_source(folder / "snap_nets.py")
    py_compile.compile(other, cfile=cached, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    import_snapshot(folder, "snap_nets", folder.name)
    assert [str(each) for each in folder.rglob("*.pyc")] == [cached]


def test_folders_without_an_init_are_shared_with_what_lies_elsewhere(make, tmp_path):
    package = {"snap_team/nets/one.py": "from snap_team.parts import SIZE", "snap_team/parts.py": "SIZE = 8"}
    folder = make(8, **package)
    elsewhere = tmp_path / "disk" / "snap_team" / "nets"
    elsewhere.mkdir(parents=True)
    (elsewhere / "two.py").write_text("SIZE = 9")
    (elsewhere / "one.py").write_text("raise RuntimeError('what is on disk was imported')")
    import_snapshot(folder, "snap_team.nets.one", folder.name)
    assert import_module("snap_team.nets.one").SIZE == 8
    assert import_module("snap_team.nets.two").SIZE == 9


def test_two_that_share_a_module_each_keep_what_is_theirs_alone(make):
    one = make(1, **{"snap_one.py": "import snap_blocks\ndef late():\n    import snap_late\n    return snap_late.WHO",
                     "snap_late.py": "WHO = __file__"})  # fmt: skip
    two = make(1)
    import_snapshot(one, "snap_one", one.name)
    late = import_module("snap_one").late
    import_snapshot(two, "snap_nets", two.name)
    assert late() == str(one / "snap_late.py")


def test_a_module_of_the_old_name_and_sys_path_stay_as_they_were(make):
    folder = make(5, **{"snap_old.py": "from models import register_architecture as found"})
    before = list(sys.path)
    import_snapshot(folder, "snap_old", folder.name)
    assert import_module("snap_old").found.__module__ == "statehouse.models.architecture"
    assert sys.path == before


def test_one_that_was_changed_is_not_imported(make):
    folder = make(6)
    (folder / "snap_nets.py").write_text("raise SystemExit('this was run')")
    with pytest.raises(SnapshotError, match="was changed"):
        import_snapshot(folder, "snap_nets", folder.name)
    with pytest.raises(SnapshotError, match="is gone"):
        import_snapshot(folder.with_name("absent"), "snap_nets", "absent")


def test_one_that_fails_leaves_nothing_and_says_why(make):
    folder = make(7, **{"snap_nets.py": "import snap_blocks\n1 / 0"})
    with pytest.raises(ArchitectureImportError, match=r"snap_nets: was found, but .* ZeroDivisionError"):
        import_snapshot(folder, "snap_nets", folder.name)
    assert not {"snap_nets", "snap_blocks"} & set(sys.modules)
    with pytest.raises(RuntimeError, match="on disk"):
        import_module("snap_blocks")


KIND = """
from statehouse.models import InputKind, register_input_kind

@register_input_kind("NAME")
class Reading(InputKind):
    def decode(self, value):
        return value

    def example(self, random):
        return 1
"""


def test_kinds_are_registered_anew_and_no_more_with_their_module(make):
    one = make(1, **{"snap_kinds.py": KIND.replace("NAME", "snap_one")})
    two = make(2, **{"snap_kinds.py": KIND.replace("NAME", "snap_two")})
    import_snapshot(one, "snap_kinds", one.name)
    assert "snap_one" in registered_inputs()
    import_snapshot(two, "snap_kinds", two.name)
    assert "snap_two" in registered_inputs()
    assert "snap_one" not in registered_inputs()
