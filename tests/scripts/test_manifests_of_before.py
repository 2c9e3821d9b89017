"""Versions that an earlier build published are read as they are, and are the same models still: by their digests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statehouse.models import import_architectures, load_checkpoint
from statehouse.scripts.deployment.file import deployment_content, read_deployment
from statehouse.scripts.deployment.journal import Journal
from statehouse.scripts.publishing.inspect import inspect
from statehouse.scripts.publishing.publish import publish
from statehouse.scripts.store import LocalStore
from statehouse.scripts.store.folder import read_folder
from statehouse.scripts.store.manifest import MANIFEST_FILE, SHARD_INDEX, parse_manifest

BEFORE = Path(__file__).resolve().parents[1] / "data" / "before"
STORE = BEFORE / "model_store"
DIGESTS: dict[str, str] = json.loads((BEFORE / "digests.json").read_text())
BUILT_IN = {"simple_net", "mlp", "convnet", "text_bag"}


@pytest.fixture(scope="module", autouse=True)
def own_architectures() -> None:
    """Of the module beside the deployment file, which imports us by the name that we had."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BEFORE))
        import_architectures(["own_nets"])


def test_there_are_ten_of_every_task_container_and_architecture() -> None:
    manifests = [read_folder(STORE / version).manifest for version in DIGESTS]
    assert len(manifests) == 10
    assert len({each.task for each in manifests}) == 8
    assert {each.checkpoint for each in manifests} == {"checkpoint.pt", "checkpoint.safetensors", SHARD_INDEX}
    assert {each.architecture for each in manifests} > BUILT_IN
    assert {path.name for path in STORE.iterdir()} == DIGESTS.keys()


@pytest.mark.parametrize("version", DIGESTS)
def test_a_manifest_is_read_and_says_what_it_said(version: str) -> None:
    content = (STORE / version / MANIFEST_FILE).read_bytes()
    manifest = parse_manifest(content)
    said, written = json.loads(content), json.loads(manifest.to_json())
    assert manifest.digest == DIGESTS[version]
    assert {name: written[name] for name in said} == said  # a later build may say more


@pytest.mark.parametrize("version", DIGESTS)
def test_a_digest_stays(version: str) -> None:
    published = read_folder(STORE / version)
    LocalStore(STORE).verify(published)
    assert load_checkpoint(published.checkpoint_path).digest() == DIGESTS[version]


@pytest.mark.parametrize("version", DIGESTS)
def test_a_version_would_load_and_gives_its_golden_answers(version: str) -> None:
    found = inspect(version, store=LocalStore(STORE))
    assert found.problems == []
    assert found.facts["digest"] == DIGESTS[version]


@pytest.mark.parametrize("version", DIGESTS)
def test_published_anew_it_is_the_same_version(version: str, tmp_path: Path) -> None:
    before = read_folder(STORE / version)
    manifest = before.manifest
    made = publish(
        before.checkpoint_path,
        store=LocalStore(tmp_path / "store"),
        name=manifest.name,
        version=manifest.version,
    ).version.manifest
    for member in (
        "digest",
        "architecture",
        "config",
        "task",
        "task_config",
        "input_schema",
        "output_schema",
    ):
        assert getattr(made, member) == getattr(manifest, member), member


def test_the_desired_state_is_read_and_written_as_it_is_today(tmp_path: Path) -> None:
    deployment = read_deployment(BEFORE / "deployment.yaml")
    digits = deployment.models["digits"]
    assert (digits.default, digits.previous, len(digits.versions)) == ("1.0", "1.1", 2)
    assert digits.versions["1.0"].optimizations == ("freeze",)
    assert digits.versions["1.0"].batch_size == 8  # of the larger of two lanes, which there are no more
    assert deployment.architectures == ["own_nets"]
    assert (
        deployment.limits.request_timeout_seconds,
        deployment.models["patients"].versions["1.0"].workers,
    ) == (30, 2)
    content = deployment_content(deployment)
    assert b"lanes" not in content
    (tmp_path / "deployment.yaml").write_bytes(content)
    assert read_deployment(tmp_path / "deployment.yaml") == deployment


def test_the_journal_is_read() -> None:
    changes = list(Journal(BEFORE / "deployment.yaml").read())
    assert [each["kind"] for each in changes] == [
        "swap", "rollback", "swap", "swap", "scale", "retire", "swap", "swap", "apply", "swap"
    ]  # fmt: skip
    outcomes = {each["outcome"] for each in changes}
    assert outcomes == {"done", "failed", "interrupted, undone"}
