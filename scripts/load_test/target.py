"""What a load on ``NAME[/VERSION]`` of a running deployment is: where it goes, and what it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from handlers.golden import read_golden
from scripts.control import ControlClient
from scripts.errors import ArgumentError, CommandError
from scripts.load_test.plan import Body, ClosedLoop, LoadPlan, OpenLoop
from scripts.names import check_name, check_version
from scripts.predict import content_type_of
from scripts.project import Project


def choose_arrivals(
    *, rate: float | None, connections: int | None, duration_seconds: float
) -> OpenLoop | ClosedLoop:
    """Return what ``--rate`` or ``--connections`` means; ArgumentError unless exactly one is given."""
    if rate is not None and connections is None:
        return OpenLoop(rate, duration_seconds)
    if connections is not None and rate is None:
        return ClosedLoop(connections, duration_seconds)
    given = "both were given" if rate is not None else "neither was given"
    raise ArgumentError(
        f"A load has a --rate or --connections; {given}. Give --rate 500 for so many requests per second, "
        "whatever the server does, or --connections 64 for clients that wait for each answer."
    )


def plan_for(
    target: str,
    arrivals: OpenLoop | ClosedLoop,
    *,
    deployment_file: Path,
    body_files: Sequence[Path],
    timeout_seconds: float,
) -> LoadPlan:
    """Return the load on ``NAME`` or ``NAME/VERSION``: the files given, or the version's golden examples.

    Raises NameRuleError, NotServingError, CommandError (no such version is served), ArgumentError (a file),
    LoadPlanError, StoreError, GoldenMismatchError.
    """
    name, _, version = target.partition("/")
    check_name(name)
    if version:
        check_version(version)
    status = ControlClient(deployment_file).status()
    golden_version = _served_version(status, name, version)
    if body_files:
        bodies = [_read_body(file) for file in body_files]
    else:
        published = Project.of_deployment(deployment_file).store.get(name, golden_version)
        examples = read_golden(published.golden_path).examples
        bodies = [Body(example.body, example.content_type) for example in examples]
    plan = LoadPlan.for_url(f"{status['front']}/predictions/{target}", bodies, arrivals)
    return replace(plan, timeout_seconds=timeout_seconds)


def _served_version(status: dict[str, Any], name: str, version: str) -> str:
    for row in status["models"]:
        if row["name"] == name and (row["version"] == version if version else row["default"]):
            return str(row["version"])
    served = ", ".join(f"{row['name']}/{row['version']}" for row in status["models"]) or "nothing"
    wanted = f"{name}/{version}" if version else name
    raise CommandError(f"{wanted} is not served; served is: {served}. See `statehouse status`.")


def _read_body(file: Path) -> Body:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ArgumentError(f"--body {str(file)!r} cannot be read: {error.strerror}.") from error
    if not content:
        raise ArgumentError(f"--body {str(file)!r} is empty; give a file with one request's body.")
    return Body(content, content_type_of(content))
