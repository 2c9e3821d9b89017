"""What a load on ``NAME[/VERSION]`` of a running deployment is: where it goes, and what it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from statehouse.models.extras import how_to_install
from statehouse.scripts.access.front_door import FrontDoor
from statehouse.scripts.control.client import ControlClient
from statehouse.scripts.deployment.project import Project
from statehouse.scripts.errors import ArgumentError, CommandError
from statehouse.scripts.load_test.arrivals import ClosedLoop, Constant, OpenLoop, Poisson, Ramp
from statehouse.scripts.load_test.errors import GrpcMissingError
from statehouse.scripts.load_test.inputs import read_inputs
from statehouse.scripts.load_test.plan import Body, GrpcCall, LoadPlan
from statehouse.scripts.load_test.schedule import read_schedule
from statehouse.scripts.store.names import check_name, check_version, did_you_mean


@dataclass(frozen=True)
class ArrivalOptions:
    """What the command line says of when requests are due; None is what it does not say."""

    duration_seconds: float
    rate: float | None = None
    poisson: bool = False
    seed: int = 0
    ramp_to: float | None = None
    schedule: Path | None = None
    connections: int | None = None


def choose_arrivals(options: ArrivalOptions) -> OpenLoop | ClosedLoop:
    """Return the loop that is meant; ArgumentError unless exactly one is."""
    given = {
        "--rate": options.rate is not None,
        "--connections": options.connections is not None,
        "--schedule": options.schedule is not None,
    }
    chosen = [option for option, is_given in given.items() if is_given]
    if len(chosen) != 1:
        told = f"{' and '.join(chosen)} were given" if chosen else "none was given"
        raise ArgumentError(
            f"A load has a --rate, --connections or a --schedule; {told}. Give --rate 500 for so many requests per "
            "second, whatever the server does, or --connections 64 for clients that wait for each answer."
        )
    if (options.poisson or options.ramp_to is not None) and options.rate is None:
        raise ArgumentError(f"--poisson and --ramp-to go with --rate; {chosen[0]} was given.")
    if options.schedule is not None:
        return read_schedule(options.schedule)
    if options.rate is not None:
        return OpenLoop(options.rate, options.duration_seconds, pattern=_pattern(options))
    return ClosedLoop(options.connections or 0, options.duration_seconds)


def _pattern(options: ArrivalOptions) -> Constant:
    if options.poisson and options.ramp_to is not None:
        raise ArgumentError("--poisson and --ramp-to do not go together: give one of them.")
    if options.ramp_to is not None:
        return Ramp(options.ramp_to)
    return Poisson(options.seed) if options.poisson else Constant()


def plan_for(
    target: str,
    arrivals: OpenLoop | ClosedLoop,
    *,
    deployment_file: Path,
    inputs: Sequence[str] = (),
    timeout_seconds: float,
    grpc: bool = False,
    key: str | None = None,
) -> LoadPlan:
    """Return the load on ``NAME`` or ``NAME/VERSION``: the inputs given, or the version's golden examples.

    Raises NameRuleError, NotServingError, CommandError (no such version is served), ArgumentError (an input),
    LoadPlanError, StoreError, GoldenMismatchError, GrpcMissingError.
    """
    name, _, version = target.partition("/")
    check_name(name)
    if version:
        check_version(version)
    client = ControlClient(deployment_file)
    status = client.status()
    golden_version = _served_version(status, name, version)
    published = Project.of_deployment(deployment_file).store.obtain(name, golden_version)
    bodies = read_inputs(inputs, published.golden_path)
    if grpc:
        plan = _grpc_plan(client, status, name, version, bodies, arrivals)
    else:
        plan = LoadPlan.for_door(FrontDoor.of(status, key), f"/predictions/{target}", bodies, arrivals)
    return replace(plan, timeout_seconds=timeout_seconds)


def _grpc_plan(
    client: ControlClient,
    status: dict[str, Any],
    name: str,
    version: str,
    bodies: Sequence[Body],
    arrivals: OpenLoop | ClosedLoop,
) -> LoadPlan:
    if find_spec("grpc") is None:
        raise GrpcMissingError(
            f"--grpc needs grpcio, which is not installed; install it with: {how_to_install('grpc')}"
        )
    if version:
        raise ArgumentError(
            f"--grpc reaches the default version of {name} only: TorchServe knows {version} by other names there. "
            f"Give {name} without a version, or leave out --grpc."
        )
    host, _, port = str(status["grpc"]).rpartition(":")
    call = GrpcCall(name, client.inference_token())
    return LoadPlan(host, int(port), f"/{name}", tuple(bodies), arrivals, grpc=call)


def _served_version(status: dict[str, Any], name: str, version: str) -> str:
    for row in status["models"]:
        if row["name"] == name and (row["version"] == version if version else row["default"]):
            return str(row["version"])
    served = ", ".join(f"{row['name']}/{row['version']}" for row in status["models"]) or "nothing"
    wanted = f"{name}/{version}" if version else name
    raise CommandError(
        f"{wanted} is not served; served is: {served}."
        f"{did_you_mean(name, (row['name'] for row in status['models']))} See `statehouse status`."
    )
