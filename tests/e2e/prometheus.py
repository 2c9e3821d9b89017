"""A real Prometheus that scrapes one server each second, configured as in deploy/prometheus."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PATIENCE_SECONDS = 120


class Prometheus:
    """Runs from ``with`` to its end."""

    def __init__(self, folder: Path, reader: str) -> None:
        config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
        [job] = config["scrape_configs"]
        job["static_configs"] = [{"targets": [reader.removeprefix("http://")]}]
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._log = folder / "prometheus.log"
        arguments = (f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["prometheus", *arguments, f"--web.listen-address={address}"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._client = httpx.Client(base_url=f"http://{address}/api/v1", timeout=30)

    def __enter__(self) -> Prometheus:
        self.wait_for(self._has_scraped)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(30)

    def _has_scraped(self) -> bool:
        try:
            return bool(self.query('count_over_time(up{job="statehouse"}[5m]) > 2'))
        except httpx.TransportError:
            return False

    def wait_for(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not what():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()[-2000:]
            time.sleep(0.5)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an instant query gives; an AssertionError where Prometheus refuses it."""
        answer = self._client.get("/query", params={"query": expression})
        if answer.status_code == 503:  # it is starting
            return []
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return answer.json()["data"]["result"]

    def rules(self) -> list[dict[str, Any]]:
        groups = self._client.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]
