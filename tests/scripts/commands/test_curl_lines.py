import json
from pathlib import Path

from tests.scripts.conftest import MakeVersion

from statehouse.scripts.commands.curl_lines import curl_lines
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.store import LocalStore
from statehouse.scripts.supervisor.loaded_version import LoadedVersion, VersionState

GOLDEN = {"examples": [{"content_type": "application/json", "body_base64": "e30="}]}


def test_a_line_for_each_default_that_works_and_for_no_other(
    make_version: MakeVersion, store_folder: Path, tmp_path: Path
) -> None:
    versions = []
    for name, version, state in (
        ("digits", "1.0", VersionState.READY),
        ("digits", "1.1", VersionState.READY),
        ("broken", "1.0", VersionState.FAILED),
    ):
        (make_version(name, version) / "golden.json").write_text(json.dumps(GOLDEN))
        published = LocalStore(store_folder).get(name, version)
        versions.append(LoadedVersion(name, version, VersionSettings(), state=state, published=published))
    lines = curl_lines(versions, lambda name: "1.0", front_url="http://127.0.0.1:1", folder=tmp_path)
    assert lines == ["curl -s --data '{}' http://127.0.0.1:1/predictions/digits"]
