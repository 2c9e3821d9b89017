"""When a version counts as idle."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.supervisor.drain import Drain


@pytest.mark.parametrize(
    ("in_flight", "queued", "rows", "explicit", "idle"),
    [
        ({}, 0, 0, False, True),
        ({"default": 1}, 0, 0, False, False),
        ({"explicit": 1}, 0, 0, True, False),
        ({"explicit": 1}, 1, 1, False, True),  # those in the queue may be of that one
        ({}, 1, 0, False, False),  # gRPC's, which the front does not see
        ({}, 0, 1, True, False),
    ],
)
def test_idle(fleet, servers, in_flight, queued, rows, explicit, idle):
    drain = Drain(servers, servers, SimpleNamespace(rows_in_flight=lambda folder: rows))

    async def run():
        loaded = await fleet.load("net", "1.0", VersionSettings())
        servers.requests_in_flight, servers.queued_requests = in_flight, queued
        return await drain(loaded, explicit=explicit, deadline_seconds=0)

    assert asyncio.run(run()) is idle


def test_nothing_is_left_in_what_has_ended(fleet, servers):
    drain = Drain(servers, servers, SimpleNamespace(rows_in_flight=lambda folder: 1))

    async def run():
        loaded = await fleet.load("net", "1.0", VersionSettings())
        servers.requests_in_flight, servers.process.running = {"default": 3}, False
        return await drain(loaded, explicit=True, deadline_seconds=0)

    assert asyncio.run(run())
