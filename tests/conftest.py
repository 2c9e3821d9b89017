"""What several folders of tests need; which of them go first, and how long each group took."""

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

import pytest

BEGAN = time.monotonic()
# Two files run side by side, and what they start computes on every core. By default threads of torch's that wait for
# others spin: they take the cores from those that work, and a training of 10 s lasts a minute or two.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded, here and in what tests start
# The folders whose files take minutes go first: at the end, files of a second keep every worker busy.
GROUPS = ("faults", "e2e", "scripts", "handlers", "models")
OTHERS = "others"


# What the extras bring, those of developers too. hypothesis stays: pytest has loaded its plugin before.
OF_EXTRAS = {
    "accelerate",
    "google",
    "locust",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openapi_spec_validator",
    "playwright",
    "pytorch_lightning",
    "s3fs",
    "scipy",
    "skimage",
    "sklearn",
    "timm",
    "tokenizers",
    "torchvision",
    "transformers",
    "tritonclient",
    "trustme",
}


class WithoutExtras(PathFinder):
    """Finds what lies on the path, but for the extras."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in OF_EXTRAS:
            return None
        return super().find_spec(fullname, path, target)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-extras", action="store_true", help="as where no extra is installed")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--without-extras"):
        sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutExtras


def group_of(nodeid: str) -> str:
    """The group that a test's time is told under: its folder in `tests`."""
    top, _, rest = nodeid.partition("/")
    folder = rest.partition("/")[0]
    return folder if top == "tests" and folder in GROUPS else OTHERS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by group; within one, tests stay in their order."""
    places = [*GROUPS[:2], OTHERS, *GROUPS[2:]]
    items.sort(key=lambda item: places.index(group_of(item.nodeid)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each group: how many cases ran, and the seconds of them, of all workers together."""
    cases: dict[str, set[str]] = {}
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                group = group_of(report.nodeid)
                cases.setdefault(group, set()).add(report.nodeid)
                seconds[group] += report.duration
    if len(cases) < 2:
        return
    terminalreporter.section("time by group")
    terminalreporter.line(f"{'':10}{'cases':>7}{'seconds':>10}")
    for group, took in seconds.most_common():
        terminalreporter.line(f"{group:10}{len(cases[group]):7}{took:10.1f}")
    count = sum(map(len, cases.values()))
    terminalreporter.line(f"{'all':10}{count:7}{seconds.total():10.1f}")
    terminalreporter.line(f"{'by clock':17}{time.monotonic() - BEGAN:10.1f}")


@pytest.fixture
def only_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the architectures that ship: other tests register some of their own in the same process."""
    from statehouse.models import architecture

    for name in architecture.list_architectures():
        module = architecture.get_architecture(name).builder.__module__
        if not module.startswith("statehouse.models.architectures."):
            monkeypatch.delitem(architecture._ARCHITECTURES, name)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A private folder with a path short enough for sockets, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
