"""What wrk is told to do and what is read of what it says."""

import json

import pytest
from tests.support.wrk import LoadError, Measure, Target, read_wrk, wrk_script


def test_wrk_is_read_with_its_errors() -> None:
    result = {"answered": 1000, "micros": 2_000_000, "p50": 900.0, "p99": 5000.0, "status": 10, "broken": 2}
    found = read_wrk(f"Running 2s test\n\nRESULT {json.dumps(result)}\n")
    assert found == Measure(495.0, 0.0009, 0.005, answered=1000, failed=12)


def test_wrk_without_a_result_is_an_error() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        read_wrk("unable to connect to 127.0.0.1:1 Connection refused")


def test_bodies_of_a_load_are_files_beside_the_script(tmp_path) -> None:
    target = Target("http://127.0.0.1/x", (b"a\0\n", b"]]"), {"Content-Type": "image/jpeg"})
    script = wrk_script(target, tmp_path)
    assert [(tmp_path / f"body-{index}").read_bytes() for index in (0, 1)] == [b"a\0\n", b"]]"]
    assert "wrk.headers['Content-Type'] = 'image/jpeg'" in script
