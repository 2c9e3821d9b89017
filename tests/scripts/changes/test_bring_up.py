"""How a version is brought up whose optimizations nobody chose; whole swaps are in tests/e2e and tests/faults."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from statehouse.scripts.changes import bring_up
from statehouse.scripts.deployment.defaults import HEAVY_MACS
from statehouse.scripts.deployment.file import Deployment, VersionSettings
from statehouse.scripts.errors import NotEnoughMemoryError, VersionStartError
from statehouse.scripts.store.folder import read_folder

FROZEN = {"optimizations": ["bfloat16", "freeze"], "threads": 2}


async def has_its_code(version: str) -> None:
    pass


@pytest.fixture
def change_to(make_version, monkeypatch):
    """A change of `net`, which serves 1.0, to a 2.0 whose manifest says so; `loaded` has what was loaded."""
    published = read_folder(make_version("digits", "1.0")).manifest
    monkeypatch.setattr(bring_up, "refuse_if_too_large", lambda *about: None)

    def make(*, fails: type[Exception] | None = None, held: bool = False, **told: Any) -> Any:
        versions = {"1.0": FROZEN} | ({"2.0": FROZEN} if held else {})
        deployment = Deployment.model_validate({"models": {"net": {"default": "1.0", "versions": versions}}})
        manifest = published.model_copy(update={"macs_per_row": HEAVY_MACS, "parameter_count": 20})
        change = SimpleNamespace(name="net", said=[], loaded=[], leads_to=lambda version: None)
        change.refuse_unknown_code = has_its_code
        change.say = lambda text, *, failed=False: change.said.append((text, failed))

        async def load(name: str, version: str, settings: VersionSettings) -> VersionSettings:
            change.loaded.append(settings)
            if fails and settings.optimizations:
                raise fails("no way")
            return settings

        @asynccontextmanager
        async def step(*about: str, **told: Any):
            yield

        change.step = step
        after = manifest.model_copy(update=told)
        change.desired = SimpleNamespace(deployment=deployment)
        change.front = SimpleNamespace(default_of=lambda name: "1.0")
        change.fleet = SimpleNamespace(
            versions={
                ("net", "1.0"): SimpleNamespace(
                    published=SimpleNamespace(manifest=manifest), load_seconds=2.0
                )
            },
            load=load,
            forget=lambda *about: None,
        )
        change.store = SimpleNamespace(
            has=lambda *about: True, get=lambda *about: SimpleNamespace(manifest=after)
        )
        return change

    return make


@pytest.mark.parametrize(
    ("speedup", "freeze"), [(None, True), (0, True), (0.94, False), (1.0, True), (3, True)]
)
def test_a_version_that_is_slower_frozen_does_not_inherit_it(change_to, speedup, freeze):
    change = change_to(frozen_speedup=speedup)
    loaded = asyncio.run(bring_up.bring_up(change, "2.0"))
    assert loaded.optimizations == (("bfloat16", "freeze") if freeze else ("bfloat16",))
    assert loaded.threads == 2


def test_another_kind_of_model_inherits_no_optimization(change_to):
    loaded = asyncio.run(bring_up.bring_up(change_to(macs_per_row=1), "2.0"))
    assert (loaded.optimizations, loaded.threads) == ((), 1)


@pytest.mark.parametrize("error", [VersionStartError, NotEnoughMemoryError])
def test_without_the_optimizations_that_nobody_chose_where_they_cannot_be_had(change_to, error):
    change = change_to(fails=error)
    loaded = asyncio.run(bring_up.bring_up(change, "2.0"))
    assert [each.optimizations for each in change.loaded] == [("bfloat16", "freeze"), ()]
    assert loaded.threads == 2
    assert change.said == [("no way\nTrying net 2.0 without bfloat16, freeze.", True)]


def test_those_that_were_chosen_are_what_is_needed(change_to):
    change = change_to(fails=VersionStartError, held=True)
    with pytest.raises(VersionStartError):
        asyncio.run(bring_up.bring_up(change, "2.0"))
    chosen = VersionSettings.model_validate(FROZEN)
    with pytest.raises(VersionStartError):
        asyncio.run(bring_up.bring_up(change_to(fails=VersionStartError), "2.0", settings=chosen))
    assert len(change.loaded) == 1
