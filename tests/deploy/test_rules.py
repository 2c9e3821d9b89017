"""The rules as Prometheus' own promtool tests them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES, RULES_TEST = "statehouse.rules.yml", "statehouse.rules_test.yml"


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_prometheus_takes_the_configuration_with_its_rules() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_alerts_do_what_they_say() -> None:
    done = promtool("test", "rules", RULES_TEST)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("> 14.4 * 0.01 and", "> 144 * 0.01 and"),
        ("> 6 * 0.01 and", "> 60 * 0.01 and"),
        ("statehouse:error_ratio:rate5m > 0.01", "statehouse:error_ratio:rate5m > 0.1"),
        ("[10m]) >= 3", "[10m]) >= 30"),
        ("or (statehouse_changes_total", "or (statehouse_changed_total"),
        ("statehouse_queue_fill_ratio > 0.8", "statehouse_queue_fill_ratio > 0.95"),
        ("connections_limit > 0.8", "connections_limit > 1"),
        ("statehouse_ready == 0", "statehouse_ready == 2"),
        ('up{job="statehouse"} == 0', 'up{job="statehouse"} == 2'),
    ],
)
def test_the_rules_tests_notice_a_wrong_rule(tmp_path: Path, right: str, wrong: str) -> None:
    text = (FOLDER / RULES).read_text()
    assert right in text
    (tmp_path / RULES).write_text(text.replace(right, wrong))
    shutil.copy(FOLDER / RULES_TEST, tmp_path)
    assert promtool("test", "rules", RULES_TEST, folder=tmp_path).returncode == 1


def test_every_alert_is_tested_to_fire() -> None:
    groups = yaml.safe_load((FOLDER / RULES).read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    tests = yaml.safe_load((FOLDER / RULES_TEST).read_text())["tests"]
    fired = {
        each["alertname"] for test in tests for each in test["alert_rule_test"] if each.get("exp_alerts")
    }
    assert fired == alerts


def test_the_objective_is_a_bucket_of_the_histogram() -> None:
    from statehouse.handlers.worker.metrics import BUCKETS_SECONDS

    bounds = {float(bound) for bound in re.findall(r'le="([\d.]+)"', (FOLDER / RULES).read_text())}
    assert bounds <= set(BUCKETS_SECONDS)
