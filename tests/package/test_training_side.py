"""`pip install --no-deps` beside torch, safetensors, pydantic and numpy is enough for a training program."""

from __future__ import annotations

import signal
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.package.environment import CleanEnvironment

ENOUGH = ("torch", "safetensors", "pydantic", "numpy")
STEPS = "23"


@pytest.fixture(scope="module")
def training(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    made = CleanEnvironment(tmp_path_factory.mktemp("training") / "env")
    made.link(ENOUGH)
    made.install(wheel)
    return made


def test_a_run_that_is_killed_goes_on_bit_for_bit(training: CleanEnvironment, project: Path) -> None:
    for name in ("whole", "killed"):
        (project / name).mkdir()
    whole = training.run("train.py", "whole", STEPS, cwd=project).stdout
    assert "began after step 0" in whole
    assert "of the server []" in whole
    killed = training.run("train.py", "killed", STEPS, "12", cwd=project, check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed = training.run("train.py", "killed", STEPS, cwd=project).stdout
    assert "began after step 10" in resumed
    assert resumed.splitlines()[-1] == whole.splitlines()[-1]
    assert resumed.splitlines()[-1].startswith("digest ")


def test_every_public_name_can_be_imported(training: CleanEnvironment, tmp_path: Path) -> None:
    training.run(
        "-c", "import statehouse; [getattr(statehouse, name) for name in statehouse.__all__]", cwd=tmp_path
    )


def test_what_an_extra_brings_is_missed_with_how_to_install_it(
    training: CleanEnvironment, tmp_path: Path
) -> None:
    code = "import statehouse; statehouse.build_model('torchvision:resnet18', {})"
    said = training.run("-c", code, cwd=tmp_path, check=False).stderr
    assert (
        "need torchvision, which is not installed here; install it with: pip install 'statehouse_serving-"
        in said
    )
    torch = version("torch").partition("+")[0]
    assert said.rstrip().endswith(f"-py3-none-any.whl[vision]' torch=={torch}")


def test_the_command_says_what_it_lacks(training: CleanEnvironment, tmp_path: Path) -> None:
    done = training.run(training.statehouse, "status", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the command needs ")
    assert "is installed with: pip install 'statehouse_serving-" in done.stderr
    assert "Traceback" not in done.stderr
