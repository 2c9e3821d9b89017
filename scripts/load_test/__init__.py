"""A counted load: requests sent on a schedule or by N connections, every one of them accounted for.

`run_load` inside an event loop, `run` without one; what was planned is a `LoadPlan`, what happened a
`LoadResult`.
"""

from scripts.load_test.errors import ErrorKind, LoadPlanError, LoadTargetError
from scripts.load_test.plan import Body, ClosedLoop, LoadPlan, OpenLoop
from scripts.load_test.result import GeneratorHealth, Latency, LoadResult, VersionAnswers
from scripts.load_test.run import LoadProgress, run, run_load

__all__ = [
    "Body",
    "ClosedLoop",
    "ErrorKind",
    "GeneratorHealth",
    "Latency",
    "LoadPlan",
    "LoadPlanError",
    "LoadProgress",
    "LoadResult",
    "LoadTargetError",
    "OpenLoop",
    "VersionAnswers",
    "run",
    "run_load",
]
