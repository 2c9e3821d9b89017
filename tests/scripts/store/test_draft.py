import subprocess
import sys
import threading
from pathlib import Path

import pytest

from statehouse.scripts.errors import StoreWriteError
from statehouse.scripts.store.draft import draft_version, store_lock

WRITES_AND_DIES = """
import os, signal, sys
from pathlib import Path
from statehouse.scripts.store.draft import draft_version, store_lock

store = Path(sys.argv[1])
with store_lock(store, on_wait=lambda: None), draft_version(store, "digits-1.0") as draft:
    (draft / "checkpoint.pt").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def never_waits() -> None:
    raise AssertionError("the store is locked")


def names_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} - {".publishing.lock"}


def fail_in_a_draft(store_folder, error):
    with draft_version(store_folder, "digits-1.0") as draft:
        (draft / "file").write_bytes(b"content")
        raise error


def test_a_version_appears_when_the_draft_is_left(store_folder):
    with store_lock(store_folder, on_wait=never_waits), draft_version(store_folder, "digits-1.0") as draft:
        (draft / "file").write_bytes(b"content")
        assert not (store_folder / "digits-1.0").exists()
    assert names_in(store_folder) == {"digits-1.0"}
    file = store_folder / "digits-1.0" / "file"
    assert file.read_bytes() == b"content"
    assert file.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_stays_of_a_draft_that_failed(store_folder, error):
    with pytest.raises(error), store_lock(store_folder, on_wait=never_waits):
        fail_in_a_draft(store_folder, error)
    assert names_in(store_folder) == set()


def test_a_killed_writer_leaves_no_version_no_lock_and_is_cleaned_up(store_folder):
    killed = subprocess.run([sys.executable, "-c", WRITES_AND_DIES, store_folder], check=False)
    assert killed.returncode == -9
    assert names_in(store_folder) == {".publishing-digits-1.0"}
    with store_lock(store_folder, on_wait=never_waits), draft_version(store_folder, "cancer-1.0"):
        pass
    assert names_in(store_folder) == {"cancer-1.0"}


def test_writers_wait_for_each_other(store_folder):
    waiting, order = threading.Event(), []

    def second() -> None:
        with store_lock(store_folder, on_wait=waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with store_lock(store_folder, on_wait=never_waits):
        thread.start()
        assert waiting.wait(timeout=120)
        order.append("first")
    thread.join(timeout=120)
    assert order == ["first", "second"]


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "store").write_text("a file where the folder should be")
    with (
        pytest.raises(StoreWriteError, match=r"cannot be written: File exists .*nothing was published"),
        store_lock(tmp_path / "store", on_wait=never_waits),
    ):
        pass


def test_a_version_that_is_there_is_never_replaced(store_folder):
    (store_folder / "digits-1.0").mkdir()
    (store_folder / "digits-1.0" / "file").write_text("the first")
    with (
        pytest.raises(StoreWriteError, match="not empty"),
        store_lock(store_folder, on_wait=never_waits),
        draft_version(store_folder, "digits-1.0") as draft,
    ):
        (draft / "file").write_text("the second")
    assert (store_folder / "digits-1.0" / "file").read_text() == "the first"
