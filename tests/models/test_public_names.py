from __future__ import annotations

import subprocess
import sys

import pytest

from statehouse import models


def test_every_public_name_is_there():
    for name in models.__all__:
        assert getattr(models, name).__module__.startswith("statehouse.models") or name == "Task"


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="has no attribute 'absent'"):
        _ = models.absent


def test_errors_tasks_and_examples_need_no_torch():
    program = (
        "import sys, statehouse.models.tasks.registry; from statehouse.models import errors, example; "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
