"""Retiring a version, told to servers that only note it."""

from __future__ import annotations

import asyncio

import pytest

from statehouse.scripts.changes.retire import retired
from statehouse.scripts.deployment.file import read_deployment
from statehouse.scripts.errors import ChangeError


def test_its_requests_end_before_new_ones_are_refused_and_those_before_it_is_unloaded(make_change, told):
    change = make_change("1.1", "1.0")
    assert asyncio.run(retired(change, "1.0", 5)) == ["net 1.0 retired"]
    assert told.words == [
        ("drain", "1.0", "all"),
        ("no route", "net", "1.0", True),
        ("drain", "1.0", "all"),
        ("no route", "net", "1.0", False),
        ("TorchServe's default", "1.1-g0"),
        ("unload", "net", "1.0", 0),
    ]
    assert list(change.fleet.versions) == [("net", "1.1")]
    assert change.decided
    for deployment in (change.desired.deployment, read_deployment(change.desired.path)):
        assert list(deployment.models["net"].versions) == ["1.1"]


def test_it_is_retired_whether_its_requests_end_in_time_or_not(make_change, told):
    told.busy = {"1.0"}
    change = make_change("1.1", "1.0")
    asyncio.run(retired(change, "1.0", 0))
    assert list(change.fleet.versions) == [("net", "1.1")]


def test_with_the_last_version_the_name_is_gone(make_change, told):
    change = make_change("1.0")
    asyncio.run(retired(change, "1.0", 5))
    assert told.defaults == {}
    assert change.desired.deployment.models == {}
    assert change.fleet.versions == {}


def test_the_default_stays_while_there_are_others(make_change, told):
    change = make_change("1.1", "1.0", "0.9")
    with pytest.raises(ChangeError) as caught:
        asyncio.run(retired(change, "1.1", 5))
    assert str(caught.value) == (
        "net 1.1 is the default and cannot be retired: swap to another first (1.0, 0.9)."
    )
    assert told.words == []
    assert not change.decided


@pytest.mark.parametrize(("loaded", "listed"), [(("1.1", "1.0"), "1.1, 1.0"), ((), "none")])
def test_what_is_not_loaded_is_told_with_what_is(make_change, loaded, listed):
    with pytest.raises(ChangeError, match=rf"^net 2\.0 is not loaded; loaded are: {listed}\.$"):
        asyncio.run(retired(make_change(*loaded), "2.0", 5))
