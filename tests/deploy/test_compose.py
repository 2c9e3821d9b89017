"""deploy/compose.yaml: valid by the Compose specification, confined, and of one mind with what it mounts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from statehouse.scripts.deployment.file import Listen

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FILE = DEPLOY / "compose.yaml"
SERVICES = ("statehouse", "prometheus", "grafana")
CHECK = Path(sys.executable).parent / "check-jsonschema"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())


def validate(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CHECK, "--builtin-schema", "vendor.compose-spec", file], capture_output=True, text=True, check=False
    )


def test_it_is_a_compose_file() -> None:
    done = validate(FILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_notices_a_wrong_word(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("read_only: true", "readonly: true"))
    assert validate(wrong).returncode == 1


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined_and_watched(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["healthcheck"]["test"][0] == "CMD"
    assert "privileged" not in service


def test_all_listen_on_this_machine_alone(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert all(services[name]["network_mode"] == "host" for name in SERVICES)
    assert all("ports" not in services[name] for name in SERVICES)
    assert "--web.listen-address=127.0.0.1:9090" in services["prometheus"]["command"]
    assert services["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_whoever_is_asked_is_there(compose: dict[str, Any]) -> None:
    """Prometheus asks the reader where it listens, Grafana asks Prometheus, and shows our dashboard."""
    [job] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [Listen().reader]}]
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://127.0.0.1:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "statehouse.yml").read_text())["providers"]
    grafana = compose["services"]["grafana"]
    mounted = {target: source for source, target, *_ in (each.split(":") for each in grafana["volumes"])}
    dashboard = f"{provider['options']['path']}/statehouse.json"
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard
    assert json.loads((DEPLOY / mounted[dashboard]).read_text())["title"]


def test_every_mounted_file_is_there(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for each in service["volumes"]:
            source = each.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"]


def test_it_mounts_what_the_image_writes_to(compose: dict[str, Any]) -> None:
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text()
    service = compose["services"]["statehouse"]
    [volume] = [each.split(":")[1] for each in service["volumes"]]
    assert f'VOLUME ["{volume}"]' in dockerfile
    [temporary] = [each.split(":")[0] for each in service["tmpfs"]]
    assert f"XDG_RUNTIME_DIR={temporary} TMPDIR={temporary}" in dockerfile
    checked = re.search(r"HEALTHCHECK .* CMD (\[.*\])", dockerfile)
    assert checked is not None
    assert service["healthcheck"]["test"] == ["CMD", *json.loads(checked[1])]
