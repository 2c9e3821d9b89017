from __future__ import annotations

import sys

import pytest

from models.architecture import list_architectures
from models.architecture_import import import_architectures
from models.errors import ArchitectureImportError

NET = """
from torch import nn
from models import register_architecture

@register_architecture("{name}")
class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 1)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_module_is_imported_by_name_and_sys_path_stays(folder):
    (folder / "nets_by_name.py").write_text(NET.format(name="test_by_name"))
    before = list(sys.path)
    import_architectures(["nets_by_name"])
    import_architectures(["nets_by_name"])
    assert sys.path == before
    assert "test_by_name" in list_architectures()


def test_an_entry_point_is_found_by_its_name(folder):
    (folder / "nets_by_entry_point.py").write_text(NET.format(name="test_by_entry_point"))
    info = folder / "my_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-nets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[statehouse.architectures]\nmy-nets = nets_by_entry_point\n")
    import_architectures(["my-nets"])
    assert "test_by_entry_point" in list_architectures()


def test_not_found_and_broken_inside_are_told_apart_and_both_reported(folder):
    (folder / "broken_nets.py").write_text("import a_dependency_that_is_not_here")
    (folder / "typo_nets.py").write_text("1 +")
    with pytest.raises(ArchitectureImportError) as caught:
        import_architectures(["absent_nets", "absent.deeper", "broken_nets", "typo_nets"])
    absent, deeper, broken, typo = caught.value.problems
    assert absent.startswith("absent_nets: no module 'absent_nets', and no entry point")
    assert str(folder) in absent
    assert deeper.startswith("absent.deeper: no module 'absent'")
    assert broken == (
        "broken_nets: was found, but importing it raised ModuleNotFoundError: "
        "No module named 'a_dependency_that_is_not_here'"
    )
    assert "typo_nets: was found, but importing it raised SyntaxError" in typo
