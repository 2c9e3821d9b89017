"""Which deployment is served, and from which store."""

from types import SimpleNamespace

import pytest

from statehouse.scripts.deployment.file import read_deployment
from statehouse.scripts.errors import ArgumentError, VersionFolderError
from statehouse.scripts.serve import _manifest_of, deployment_to_serve


def test_a_deployment_is_made_of_another_store(tmp_path, make_version, store_folder):
    make_version("digits", "1.0")
    make_version("digits", "1.1")
    file, steps = tmp_path / "elsewhere" / "deployment.yaml", []
    file.parent.mkdir()
    made = deployment_to_serve(file, steps.append, str(store_folder))
    assert made == read_deployment(file)
    assert made.model_store == str(store_folder)
    assert made.models["digits"].default == "1.1"


def test_a_version_that_a_bucket_cannot_describe_ends_no_other():
    class Store:
        def find(self, name, version):
            raise VersionFolderError(f"{name} {version} is not as published", ["its manifest is missing"])

    assert _manifest_of(Store(), SimpleNamespace(name="digits", version="1.0", digest="")) is None


def test_a_deployment_that_says_another_store_is_not_overruled(tmp_path, monkeypatch):
    file = tmp_path / "deployment.yaml"
    file.write_text("model_store: s3://bucket/models")
    same = deployment_to_serve(file, print, "s3://bucket/models/")
    assert same.model_store == "s3://bucket/models"
    with pytest.raises(ArgumentError, match=r"says model_store: s3://bucket/models, and --store says other"):
        deployment_to_serve(file, print, "other")
    file.write_text("model_store: store")
    monkeypatch.chdir(tmp_path)
    assert deployment_to_serve(file, print, "store").model_store == "store"
    file.write_text("models: {}")
    own = tmp_path / "model_store"
    with pytest.raises(ArgumentError, match=f"names no model_store, so it is {own}, and --store says other"):
        deployment_to_serve(file, print, "other")
    assert deployment_to_serve(file, print, str(own)).models == {}
