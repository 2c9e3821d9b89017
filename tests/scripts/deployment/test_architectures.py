from pathlib import Path

import pytest

from statehouse.models.snapshots.source import find_source
from statehouse.scripts.deployment.architectures import refuse_missing_modules
from statehouse.scripts.deployment.snapshots import Snapshots
from statehouse.scripts.errors import DeploymentContentError


def test_modules_beside_the_deployment_and_installed_ones_are_there(tmp_path: Path) -> None:
    (tmp_path / "my_nets.py").write_text("raise SystemExit  # found, and not run")
    refuse_missing_modules(["my_nets", "numpy", "json.decoder"], tmp_path / "deployment.yaml")


def test_every_missing_one_is_told_with_what_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "my_nets.py").touch()
    with pytest.raises(DeploymentContentError) as caught:
        refuse_missing_modules(["my_netz", "quite_another"], tmp_path / "deployment.yaml")
    assert len(caught.value.problems) == 2
    assert "did you mean 'my_nets'?" in caught.value.problems[0]


def test_one_that_is_kept_need_not_be_on_disk_any_more(tmp_path: Path) -> None:
    file = tmp_path / "my_nets.py"
    file.touch()
    Snapshots.of_deployment(tmp_path / "deployment.yaml").add(find_source("my_nets", [tmp_path]))
    file.unlink()
    refuse_missing_modules(["my_nets"], tmp_path / "deployment.yaml")
