"""The inputs of `statehouse load-test`, for those who have Locust (pip install -e '.[locust]' in a checkout):

    STATEHOUSE_NAME=digits locust -f examples/locustfile.py --headless -u 20 -r 20 -t 10s

in the folder of deployment.yaml. STATEHOUSE_INPUT takes what `--input` takes; --host another server than the one here.
Locust's users wait for each answer, so a stall hides most of itself: `statehouse load-test --rate` shows it.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from locust import FastHttpUser, constant, events, task
from locust.env import Environment

from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.deployment.project import Project
from statehouse.scripts.load_test.inputs import read_inputs

DEPLOYMENT = Path(os.environ.get("STATEHOUSE_DEPLOYMENT", "deployment.yaml"))
NAME = os.environ.get("STATEHOUSE_NAME", "digits")

STATUS = ControlClient(DEPLOYMENT).status()
DEFAULT = next(row["version"] for row in STATUS["models"] if row["name"] == NAME and row["default"])
GOLDEN = Project.of_deployment(DEPLOYMENT).store.obtain(NAME, DEFAULT).golden_path
BODIES = itertools.cycle(read_inputs(os.environ.get("STATEHOUSE_INPUT", "goldens").split(","), GOLDEN))


class Client(FastHttpUser):
    """Sends the next input as soon as the last one is answered."""

    host = STATUS["front"]
    wait_time = constant(0)

    @task
    def predict(self) -> None:
        """One request, well answered only by a 2xx."""
        body = next(BODIES)
        with self.client.post(
            f"/predictions/{NAME}",
            data=body.content,
            headers={"content-type": body.content_type},
            name=f"/predictions/{NAME}",
            catch_response=True,
        ) as answer:
            if not 200 <= answer.status_code < 300:
                answer.failure(f"status {answer.status_code}")


@events.quitting.add_listener
def fail_on_errors(environment: Environment, **_: object) -> None:
    """Exit 1 unless every answer was a 2xx, as `--fail-if "errors > 0"` does."""
    if environment.stats.total.num_failures:
        environment.process_exit_code = 1
