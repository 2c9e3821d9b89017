import pytest

from statehouse.scripts.errors import NameRuleError
from statehouse.scripts.store.names import (
    check_name,
    check_version,
    folder_name,
    split_folder_name,
    version_order,
)


@pytest.mark.parametrize("name", ["digits", "a", "my-model", "Net_2.b", "0day", "x" * 64])
def test_names_that_work(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "a/b", "a..b", "a b", "a\n", "é", "a%", "x" * 65])
def test_names_that_do_not(name):
    with pytest.raises(NameRuleError, match="cannot be a model's name: use letters"):
        check_name(name)


@pytest.mark.parametrize("version", ["1", "1.0", "2.1.3", "1.0rc1", "v2", "2026.01.31"])
def test_versions_that_work(version):
    assert check_version(version) == version


@pytest.mark.parametrize(
    "version", ["", "1-0", "latest", "1..0", "1.0+gpu", " 1.0", "1.0\n", "../1", "1" * 65]
)
def test_versions_that_do_not(version):
    with pytest.raises(NameRuleError, match=r"cannot be a version: use a version number such as '1\.0'"):
        check_version(version)


def test_a_folder_is_read_back_by_its_last_dash():
    assert split_folder_name(folder_name("my-model-2", "1.0")) == ("my-model-2", "1.0")


@pytest.mark.parametrize("folder", ["digits", "digits-", "-1.0", "digits-latest", "lost+found"])
def test_other_folders_are_no_versions(folder):
    with pytest.raises(NameRuleError):
        split_folder_name(folder)


def test_versions_sort_as_people_count():
    assert sorted(["1.10", "2.0", "1.9", "2.0rc1"], key=version_order) == ["1.9", "1.10", "2.0rc1", "2.0"]
