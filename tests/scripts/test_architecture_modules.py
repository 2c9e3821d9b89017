from pathlib import Path

import pytest

from scripts.architecture_modules import refuse_missing_modules
from scripts.errors import DeploymentContentError


def test_modules_beside_the_deployment_and_installed_ones_are_there(tmp_path: Path) -> None:
    (tmp_path / "my_nets.py").write_text("raise SystemExit  # found, and not run")
    refuse_missing_modules(["my_nets", "numpy", "json.decoder"], tmp_path / "deployment.yaml")


def test_every_missing_one_is_told_with_what_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "my_nets.py").touch()
    with pytest.raises(DeploymentContentError) as caught:
        refuse_missing_modules(["my_netz", "quite_another"], tmp_path / "deployment.yaml")
    assert len(caught.value.problems) == 2
    assert "did you mean 'my_nets'?" in caught.value.problems[0]
