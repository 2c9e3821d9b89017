from pathlib import Path

import pytest

from statehouse.scripts.errors import AlreadyServingError, RuntimeFolderError
from statehouse.scripts.servers.private_folder import RuntimeFolder, SupervisorLock


@pytest.fixture
def runtime(short_folder: Path) -> RuntimeFolder:
    return RuntimeFolder(short_folder / "private")


def test_each_deployment_has_a_folder_of_its_own(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    assert RuntimeFolder.of_deployment(one) == RuntimeFolder.of_deployment(tmp_path / "x" / ".." / "one.yaml")
    assert RuntimeFolder.of_deployment(one) != RuntimeFolder.of_deployment(other)


def test_only_its_owner_may_enter_it(runtime: RuntimeFolder) -> None:
    runtime.create()
    assert runtime.path.stat().st_mode & 0o777 == 0o700
    runtime.create()


def test_a_folder_that_others_may_enter_is_refused(runtime: RuntimeFolder) -> None:
    runtime.path.mkdir(mode=0o755)
    runtime.path.chmod(0o755)
    with pytest.raises(RuntimeFolderError, match="XDG_RUNTIME_DIR"):
        runtime.create()


def test_a_link_in_its_place_is_refused(runtime: RuntimeFolder, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    runtime.path.symlink_to(tmp_path)
    with pytest.raises(RuntimeFolderError, match="not a folder"):
        runtime.create()


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    runtime = RuntimeFolder(tmp_path / ("x" * 90))
    with pytest.raises(RuntimeFolderError, match="at most 97"):
        runtime.create()
    assert not runtime.path.exists()


def test_where_no_folder_can_be_made_it_says_what_to_do(short_folder: Path) -> None:
    runtime = RuntimeFolder(short_folder / "absent" / "private")
    with pytest.raises(RuntimeFolderError, match=r"private cannot be made: No such file.*XDG_RUNTIME_DIR"):
        runtime.create()


def test_a_file_in_its_place_is_refused_and_stays(runtime: RuntimeFolder) -> None:
    runtime.path.write_text("mine")
    with pytest.raises(RuntimeFolderError, match=r"is a file or a link; expected a folder.*remove it"):
        runtime.create()
    assert runtime.path.read_text() == "mine"


def test_what_an_earlier_run_left_goes_and_the_lock_stays(runtime: RuntimeFolder) -> None:
    runtime.create()
    with SupervisorLock(runtime):
        runtime.make_folders()
        (runtime.store / "digits-1.0-g0").mkdir()
        runtime.inference_socket.touch()
        runtime.clean()
        assert [entry.name for entry in runtime.path.iterdir()] == ["lock"]


def test_there_is_one_supervisor_per_deployment(runtime: RuntimeFolder) -> None:
    import os

    runtime.create()
    with SupervisorLock(runtime), pytest.raises(AlreadyServingError, match=str(os.getpid())):
        SupervisorLock(runtime).__enter__()
    with SupervisorLock(runtime):
        pass
