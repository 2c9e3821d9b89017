from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest
from tests.net_text import net_text

from statehouse.models.architecture import list_architectures
from statehouse.models.architecture_import import import_architectures
from statehouse.models.errors import ArchitectureImportError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of a user's own; this checkout's, which has a folder `models` too, is not where its modules are."""
    monkeypatch.setattr(sys, "path", [each for each in sys.path if not Path(each, "models").is_dir()])
    monkeypatch.syspath_prepend(tmp_path)
    forget_models()
    yield tmp_path
    forget_models()


def forget_models():
    for name in [each for each in sys.modules if each.partition(".")[0] == "models"]:
        del sys.modules[name]


def test_a_module_is_imported_by_name_and_sys_path_stays(folder):
    (folder / "nets_by_name.py").write_text(net_text("test_by_name"))
    before = list(sys.path)
    import_architectures(["nets_by_name"])
    import_architectures(["nets_by_name"])
    assert sys.path == before
    assert "test_by_name" in list_architectures()


def test_an_entry_point_is_found_by_its_name(folder):
    (folder / "nets_by_entry_point.py").write_text(net_text("test_by_entry_point"))
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


@pytest.fixture
def own_models(folder):
    """A package of the user's own that is called as ours was once."""
    (folder / "models").mkdir()
    (folder / "models" / "__init__.py").write_text("WIDTH = 3\n")
    return folder


def test_a_module_that_was_written_for_the_old_name_is_imported(folder):
    (folder / "nets_of_old.py").write_text(
        net_text("test_of_old").replace("from statehouse import", "from models import")
    )
    import_architectures(["nets_of_old"])
    assert "test_of_old" in list_architectures()
    assert "models" not in sys.modules


def test_a_package_of_the_users_own_keeps_the_name(own_models):
    (own_models / "nets_beside_models.py").write_text(
        net_text("test_beside_models") + "from models import WIDTH\nassert WIDTH == 3\n"
    )
    import_architectures(["nets_beside_models"])
    assert import_module("models").WIDTH == 3


@pytest.mark.parametrize(
    ("module", "line", "to_write"),
    [
        (
            "old_name",
            "from models import register_architecture",
            "from statehouse import register_architecture",
        ),
        (
            "old_home",
            "from models.architecture import build_model",
            "from statehouse.models.architecture import …",
        ),
        ("their_name", "from models import WIDTHS", None),
        ("their_home", "from models.blocks.wide import Wide", None),
    ],
)
def test_asking_it_for_a_name_of_ours_says_what_to_write(own_models, module, line, to_write):
    (own_models / f"{module}.py").write_text(line)
    with pytest.raises(ArchitectureImportError) as caught:
        import_architectures([module])
    [problem] = caught.value.problems
    assert problem.startswith(f"{module}: was found, but importing it raised ")
    assert problem.endswith(f": write `{to_write}`") if to_write else "write" not in problem
