"""Which copies of architecture modules may go: those that nothing names, where all that could name them is known."""

import json
import os

import pytest

from statehouse.models.snapshots.source import ModuleSource
from statehouse.scripts.deployment.file import Deployment, write_deployment
from statehouse.scripts.deployment.interrupted import Landing
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.deployment.snapshots import IMAGE_VARIABLE, Snapshots
from statehouse.scripts.deployment.unused_code import unused_code
from statehouse.scripts.errors import CommandError, StoreAwayError
from statehouse.scripts.store import LocalStore
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import ArchitectureCode


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deployment.yaml"


@pytest.fixture
def store(store_folder):
    return LocalStore(store_folder)


@pytest.fixture
def keep(file, tmp_path):
    """Return a function that keeps a module of this text, two hours ago, and returns its digest."""
    snapshots = Snapshots.of_deployment(file)

    def make(text):
        source = ModuleSource("nets", tmp_path, {"nets.py": text})
        snapshots.add(source)
        os.utime(snapshots.place(source.digest), (0, 0))
        return source.digest

    return make


@pytest.fixture
def version_of(make_version):
    """Return a function that publishes a version which was proved with the code of a digest."""

    def make(digest, version="1.0"):
        folder = make_version("digits", version)
        code = ArchitectureCode(module="nets", digest=digest)
        manifest = read_folder(folder).manifest.model_copy(update={"architecture_code": code})
        (folder / "version.json").write_bytes(manifest.to_json())
        return folder

    return make


def unused(file, *stores):
    return [each.digest for each in unused_code(file, stores)]


def deployment_of(*versions, previous=None):
    model = {"default": versions[0], "previous": previous, "versions": {each: {} for each in versions}}
    return Deployment.model_validate({"models": {"digits": model}})


def test_what_a_version_of_a_store_names_stays(file, store, keep, version_of):
    named, other = keep(b"a"), keep(b"b")
    assert set(unused(file, store)) == {named, other}
    version_of(named)
    assert unused(file, store) == [other]


def test_what_is_new_stays_for_its_version_may_be_on_its_way(file, store, keep):
    digest = keep(b"a")
    Snapshots.of_deployment(file).add(ModuleSource("nets", file.parent, {"nets.py": b"a"}))
    assert unused(file, store) == []
    os.utime(Snapshots.of_deployment(file).place(digest), (0, 0))
    assert unused(file, store) == [digest]


@pytest.mark.parametrize(
    "deployment", [deployment_of("1.0"), deployment_of("2.0", previous="1.0"), deployment_of("2.0", "1.0")]
)
@pytest.mark.parametrize("pending", [False, True])
def test_nothing_goes_where_a_version_that_is_desired_is_not_known(
    file, store, keep, version_of, deployment, pending
):
    keep(b"a")
    version_of(keep(b"b"), "2.0")
    if pending:
        entry = {"when": "now", "kind": "swap", "name": "digits", "lands": Landing.at(deployment).to_plain()}
        Journal(file).note(entry, None)
    else:
        write_deployment(file, deployment)
    with pytest.raises(
        CommandError, match=r"Nothing was removed:\n +digits 1\.0, which the deployment names"
    ):
        unused(file, store)


def test_what_a_version_on_this_machine_that_the_journal_names_needs_stays(file, store, keep, version_of):
    """Its store has it no more: what was fetched from object storage is still here."""
    digest = keep(b"a")
    version_of(digest)

    class Fetched(LocalStore):
        def scan(self):
            return LocalStore(self.folder / "nothing").scan()

        def find(self, name, version):
            return None

    fetched = Fetched(store.folder)
    assert unused(file, fetched) == [digest]
    gone, here = {"version": "0.9", "digest": "d"}, {"version": "1.0", "digest": "d"}
    Journal(file).append({"when": "now", "kind": "swap", "name": "digits", "from": gone, "to": here})
    assert unused(file, fetched) == []


def test_nothing_goes_where_a_version_cannot_be_read(file, store, keep, version_of):
    keep(b"a")
    folder = version_of(keep(b"b"))
    (folder / "version.json").write_text(json.dumps({}))
    with pytest.raises(CommandError, match="Nothing was removed"):
        unused(file, store)


def test_nothing_goes_where_a_store_is_away(file, store, keep, monkeypatch):
    keep(b"a")

    def away():
        raise StoreAwayError("it does not answer")

    monkeypatch.setattr(store, "scan", away)
    with pytest.raises(StoreAwayError):
        unused(file, store)


def test_nothing_goes_of_an_image(file, store, keep, monkeypatch):
    keep(b"a")
    monkeypatch.setenv(IMAGE_VARIABLE, str(file.with_suffix(".architectures")))
    with pytest.raises(CommandError, match="An image's architectures"):
        unused(file, store)
