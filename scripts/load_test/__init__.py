"""A counted load: requests sent on a schedule or by N connections, every one of them accounted for.

`run_load` inside an event loop, `run` without one, `run_in_processes` where one core is too few; what was
planned is a `LoadPlan`, what happened a `LoadResult`.
"""

from statehouse.scripts.load_test.arrivals import ClosedLoop, Constant, OpenLoop, Poisson, Ramp
from statehouse.scripts.load_test.errors import ErrorKind, LoadPlanError, LoadTargetError
from statehouse.scripts.load_test.plan import Body, LoadPlan
from statehouse.scripts.load_test.processes import run_in_processes
from statehouse.scripts.load_test.progress import LoadProgress
from statehouse.scripts.load_test.result import GeneratorHealth, Latency, LoadResult, VersionAnswers
from statehouse.scripts.load_test.run import run, run_load

__all__ = [
    "Body",
    "ClosedLoop",
    "Constant",
    "ErrorKind",
    "GeneratorHealth",
    "Latency",
    "LoadPlan",
    "LoadPlanError",
    "LoadProgress",
    "LoadResult",
    "LoadTargetError",
    "OpenLoop",
    "Poisson",
    "Ramp",
    "VersionAnswers",
    "run",
    "run_in_processes",
    "run_load",
]
