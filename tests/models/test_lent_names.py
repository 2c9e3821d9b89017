"""`models`, the old name: lent to modules that were written then, never where it is somebody else's."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import statehouse.models
import statehouse.models.architecture
import statehouse.models.errors
from statehouse.models.architecture import list_architectures
from statehouse.models.architecture_import import import_architectures
from statehouse.models.errors import ArchitectureImportError
from statehouse.models.lent_names import OLD_NAME, old_names


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder of the path that may have a `models`: as where Statehouse is installed, not checked out."""
    for name in lent():
        monkeypatch.delitem(sys.modules, name)
    outside = [
        entry for entry in sys.path if importlib.machinery.PathFinder.find_spec(OLD_NAME, [entry]) is None
    ]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *outside])
    importlib.invalidate_caches()
    return tmp_path


def lent():
    return sorted(name for name in sys.modules if name.partition(".")[0] == OLD_NAME)


def test_the_old_name_is_the_very_same_package(folder):
    with old_names():
        assert importlib.import_module("models") is statehouse.models
        assert importlib.import_module("models.errors") is statehouse.models.errors
        found = importlib.import_module("models.architecture").register_architecture
        assert found is statehouse.models.register_architecture


def test_nothing_of_it_is_left_afterwards(folder):
    finders = list(sys.meta_path)
    with old_names():
        importlib.import_module("models.tensors.ties")
        assert lent() == ["models", "models.tensors", "models.tensors.ties"]
    assert lent() == []
    assert sys.meta_path == finders
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("models")


def test_nor_after_a_module_that_fails(folder):
    def fail():
        with old_names():
            importlib.import_module("models.errors")
            raise RuntimeError

    finders = list(sys.meta_path)
    with pytest.raises(RuntimeError):
        fail()
    assert (lent(), sys.meta_path) == ([], finders)


def test_the_modules_keep_what_python_knows_of_them(folder):
    importlib.import_module("statehouse.models.rng")
    with old_names():
        importlib.import_module("models.rng")
    module = sys.modules["statehouse.models.rng"]
    assert module.__name__ == module.__spec__.name == "statehouse.models.rng"
    assert statehouse.models.__spec__.name == "statehouse.models"
    assert importlib.reload(module) is module


def test_what_is_not_there_is_not_found(folder):
    with old_names(), pytest.raises(ModuleNotFoundError, match=r"No module named 'models\.nothing'"):
        importlib.import_module("models.nothing")


def test_a_module_of_then_registers_its_architecture_once(folder):
    (folder / "nets_of_then.py").write_text(
        "from models import register_architecture\n"
        "from models.architectures.mlp import Mlp\n"
        "from torch import nn\n"
        "@register_architecture('test_of_then')\n"
        "class Net(Mlp):\n"
        "    def __init__(self, width: int) -> None:\n"
        "        super().__init__(width, [], width)\n"
    )
    before = list_architectures()
    import_architectures(["nets_of_then"])
    assert sorted([*before, "test_of_then"]) == list_architectures()
    assert lent() == []
    net = statehouse.models.build_model("test_of_then", {"width": 2})
    assert isinstance(net, sys.modules["statehouse.models.architectures.mlp"].Mlp)


def test_a_checkout_on_the_path_is_no_second_package(folder, monkeypatch):
    checkout = Path(statehouse.models.__file__).resolve().parents[1]
    monkeypatch.syspath_prepend(checkout)
    assert importlib.util.find_spec(OLD_NAME).origin == str(checkout / "models" / "__init__.py")
    with old_names():
        assert importlib.import_module("models.architecture") is statehouse.models.architecture


def test_a_package_of_the_users_own_keeps_its_name(folder):
    (folder / "models").mkdir()
    (folder / "models" / "__init__.py").write_text("MINE = True\n")
    (folder / "nets_of_mine.py").write_text("from models import MINE\n")
    finders = list(sys.meta_path)
    with old_names():
        assert sys.meta_path == finders
    import_architectures(["nets_of_mine"])
    assert sys.modules.pop(OLD_NAME).MINE


def test_one_that_is_imported_already_is_left_as_it_is(folder, monkeypatch):
    theirs = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(OLD_NAME, None))
    monkeypatch.setitem(sys.modules, OLD_NAME, theirs)
    with old_names():
        assert importlib.import_module(OLD_NAME) is theirs
    assert sys.modules[OLD_NAME] is theirs


def test_a_file_called_models_is_told_of_as_it_is(folder):
    (folder / "models.py").write_text("")
    (folder / "nets_beside_a_file.py").write_text("from models import register_architecture\n")
    with pytest.raises(
        ArchitectureImportError, match="cannot import name 'register_architecture' from 'models'"
    ):
        import_architectures(["nets_beside_a_file"])
    del sys.modules[OLD_NAME]
