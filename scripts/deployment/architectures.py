"""Are the modules there that a deployment names under ``architectures``? Told before anything starts.

Nothing of them is imported here: the supervisor runs nobody's code. Whether they work, the workers find out.
"""

from __future__ import annotations

import difflib
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from statehouse.models.architecture_import import ENTRY_POINT_GROUP
from statehouse.scripts.deployment.snapshots import Snapshots
from statehouse.scripts.errors import DeploymentContentError


def refuse_missing_modules(names: Sequence[str], deployment_file: Path) -> None:
    """Raise DeploymentContentError with every module that is neither beside the deployment, nor installed, nor kept.

    What is kept serves the versions that were proved with it, whatever became of the file.
    """
    folder = deployment_file.resolve().parent
    kept = Snapshots.of_deployment(deployment_file)
    problems = [
        _problem(name, folder) for name in names if not _is_there(name, folder) and not kept.have(name)
    ]
    if problems:
        raise DeploymentContentError(f"{deployment_file} names architectures that are not there:", problems)


def _is_there(name: str, folder: Path) -> bool:
    if entry_points(group=ENTRY_POINT_GROUP, name=name):
        return True
    top = name.partition(".")[0]
    search = [str(folder), *sys.path]
    return importlib.machinery.PathFinder.find_spec(top, search) is not None


def _problem(name: str, folder: Path) -> str:
    beside = [path.stem for path in folder.glob("*.py")]
    near = difflib.get_close_matches(name, beside, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"architectures: there is no module {name!r} beside it, none is installed, and none is kept{hint}"
