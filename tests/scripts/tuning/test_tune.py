"""What `statehouse tune` puts on a version, and that it leaves it as it was; a real one is tuned in tests/e2e."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.load_test.arrivals import ClosedLoop, OpenLoop
from statehouse.scripts.tuning import tune as tune_module
from statehouse.scripts.tuning.candidates import CONNECTIONS
from statehouse.scripts.tuning.choice import Figures, Goal, Measured
from statehouse.scripts.tuning.tune import TuneOptions, _put_back_at_the_end, _tune

PRESENT = VersionSettings(batch_size=1)


class Bench:
    """A machine on which batches of eight answer `gain` times as fast as any other settings."""

    def __init__(self, gain: float, gain_again: float) -> None:
        self.gain, self.gain_again = gain, gain_again
        self.told: list[object] = []
        self.bottleneck = None

    def put_back(self) -> None:
        self.told.append("put back")

    def row(self):
        return {"settings": PRESENT.model_dump(mode="json", exclude_none=True)}

    def measure(self, settings, gain=None):
        best = settings.batch_size == 8
        rate = 1000 * ((gain or self.gain) if best else 1)
        return Measured(settings, ((Figures(rate, 0.001, 0.002),),))

    def compare(self, present, chosen, rounds):
        self.told.append("compare")
        return self.measure(present), self.measure(chosen, self.gain_again)

    def keep(self, settings) -> None:
        self.told.append(settings)


PROGRESS = SimpleNamespace(
    tried=lambda *about: None, expect=lambda count: None, say=lambda text: None, note=lambda text: None
)


def tuned(gain, gain_again, **options):
    bench = Bench(gain, gain_again)
    asked = TuneOptions(Goal(), connections=16, batch_sizes=(1, 8), **options)
    return _tune("net", "1.0", asked, bench, PROGRESS), bench.told


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    monkeypatch.setattr("statehouse.scripts.tuning.tune.available_cores", lambda: 1)


def test_the_best_is_written_once_a_second_run_has_confirmed_it():
    result, told = tuned(2.0, 1.5)
    assert told[:2] == ["put back", "compare"]
    assert told[2] == result.chosen.settings
    assert result.chosen.settings.batch_size == 8
    assert result.written
    assert result.confirmed


@pytest.mark.parametrize(
    ("gains", "options", "second"),
    [((2.0, 1.0), {}, True), ((2.0, 2.0), {"dry_run": True}, True), ((1.01, 9), {}, False)],
)
def test_else_nothing_is_written(gains, options, second):
    result, told = tuned(*gains, **options)
    assert told == ["put back", *(["compare"] if second else [])]
    assert not result.written
    assert (result.second_run is not None) is second


def test_loads_are_those_that_were_asked_for_or_several():
    assert TuneOptions(Goal()).loads == tuple(ClosedLoop(each, 2.0) for each in CONNECTIONS)
    assert TuneOptions(Goal(), connections=7, duration_seconds=1.0).loads == (ClosedLoop(7, 1.0),)
    assert TuneOptions(Goal(rate_per_second=50.0), connections=7).loads == (OpenLoop(50.0, 2.0),)


def test_what_may_be_tried_fits_the_loads_and_the_machine():
    space = TuneOptions(Goal(), connections=7, batch_sizes=(2,), bfloat16=True).space
    assert (space.cores, space.connections, space.batch_sizes, space.bfloat16) == (1, (7,), (2,), True)
    assert TuneOptions(Goal(rate_per_second=50.0)).space.connections == ()


@pytest.fixture
def _handlers():
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_however_it_ends_the_settings_are_put_back():
    bench = Bench(1, 1)
    with _put_back_at_the_end(bench, PROGRESS):
        assert bench.told == []
    assert bench.told == ["put back"]
    with pytest.raises(KeyboardInterrupt), _put_back_at_the_end(bench, PROGRESS):
        signal.raise_signal(signal.SIGTERM)
    assert bench.told == ["put back"] * 2
    assert tune_module.TIMEOUT_SECONDS > 0
