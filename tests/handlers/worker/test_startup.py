import json
import logging

import pytest
import torch

from statehouse.handlers.errors import DeviceError
from statehouse.handlers.worker.startup import failure_told, quiet_worker, serving_device


def test_torchserve_s_lines_per_request_are_off():
    quiet_worker()
    assert not logging.getLogger("ts.service").isEnabledFor(logging.INFO)


def test_without_an_assigned_gpu_it_is_the_cpu():
    assert serving_device(None) == torch.device("cpu")


def test_an_assigned_gpu_that_is_not_there_is_an_error():
    with pytest.raises(DeviceError, match=f"sees {torch.cuda.device_count()}"):
        serving_device(torch.cuda.device_count())


def test_a_surprise_is_told_with_its_traceback(tmp_path):
    path = tmp_path / "failure.json"
    with pytest.raises(RuntimeError, match="ZeroDivisionError"), failure_told(path):
        print(1 / 0)
    reason = json.loads(path.read_bytes())
    assert reason["type"] == "ZeroDivisionError"
    assert "test_startup.py" in reason["traceback"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("leaving", [SystemExit, KeyboardInterrupt])
def test_leaving_is_no_failure(tmp_path, leaving):
    with pytest.raises(leaving), failure_told(tmp_path / "failure.json"):
        raise leaving
    assert list(tmp_path.iterdir()) == []
