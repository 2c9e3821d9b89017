"""Judging a new version by real requests: after the flip (watch), or on a share of them before it (canary)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from models.errors import StatehouseError
from scripts.change import Change
from scripts.deployment import Deployment
from scripts.drain import drain
from scripts.errors import RolledBackError
from scripts.judge import Limits, verdict
from scripts.loaded_version import LoadedVersion
from scripts.outcomes import Outcomes

LOOK_SECONDS = 0.5
DRAIN_SECONDS = 30.0
# A percentile of a few answers says little: so many are waited for, where they come in time.
BASELINE_ANSWERS = 200
BASELINE_SECONDS = 10.0


async def observe_before(change: Change, before: str) -> None:
    """See how the old version does, so that there is something to compare the new one with."""
    async with change.step("baseline", f"{before} observed, to compare with"):
        deadline = time.monotonic() + BASELINE_SECONDS
        while change.seen(before).answered < BASELINE_ANSWERS and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            change.observe()


async def watch(
    change: Change,
    before: str,
    loaded: LoadedVersion,
    desired_before: Deployment,
    *,
    seconds: float,
    limits: Limits,
) -> None:
    """Compare the new default with how the old one did; go back to that when it is worse.

    Raises RolledBackError with what was worse; then the old version serves again.
    """
    change.observe()
    old = change.seen(before)
    try:
        async with change.step("watch", f"{loaded.version} watched for {seconds:g} s"):
            reason = await _judged(change, loaded, seconds, limits, baseline=lambda: old)
    except StatehouseError as error:
        reason = f"it could not be watched to the end: {error}"
    if reason is None:
        return
    await _flip_back(change, before, desired_before)
    await _let_it_finish(change, loaded)
    raise RolledBackError(f"{loaded.version} was worse than {before}: {reason}. {before} serves again.")


async def _flip_back(change: Change, before: str, desired_before: Deployment) -> None:
    async with change.step("roll back", f"{change.name} is served by {before} again", undoing=True):
        try:
            await change.supervisor.go_back(change.name, before, desired_before)
        except StatehouseError as error:
            change.say(str(error), failed=True)


async def _let_it_finish(change: Change, loaded: LoadedVersion) -> None:
    """Wait for what it has been sent: it is to be unloaded, which would cut that short."""
    async with change.step("drain", f"nothing is left in flight in {loaded.version}", undoing=True):
        await drain(change.supervisor, loaded, explicit=True, deadline_seconds=DRAIN_SECONDS)


async def canary(
    change: Change,
    before: str,
    loaded: LoadedVersion,
    *,
    shares: tuple[float, ...],
    step_seconds: float,
    limits: Limits,
) -> None:
    """Send the new version a growing share of the requests that name none, and judge it at each.

    Raises RolledBackError with what was worse; then all requests go to the old version again.
    """
    front = change.supervisor.front
    reason = None
    for share in shares:
        async with change.step(f"canary {share:.0%}", f"{loaded.version} had {share:.0%} of the requests"):
            await front.set_canary(change.name, loaded.version, share=share)
            reason = await _judged(change, loaded, step_seconds, limits, baseline=lambda: change.seen(before))
        if reason:
            break
    if reason is None:
        return
    async with change.step("roll back", f"{before} has all requests again", undoing=True):
        await front.remove_canary(change.name)
    await _let_it_finish(change, loaded)
    raise RolledBackError(f"{loaded.version} was worse than {before}: {reason}. {before} serves again.")


async def _judged(
    change: Change,
    loaded: LoadedVersion,
    seconds: float,
    limits: Limits,
    *,
    baseline: Callable[[], Outcomes],
) -> str | None:
    """Return why the new version is worse, as soon as it is; None when it was not for so long."""
    deadline = time.monotonic() + seconds
    new = Outcomes()
    while (left := deadline - time.monotonic()) > 0:
        await asyncio.sleep(min(LOOK_SECONDS, left))
        new += change.observe().get(loaded.version, Outcomes())
        reason = verdict(baseline(), new, limits)
        if reason:
            return reason
    return await _silent(change, loaded, new)


async def _silent(change: Change, loaded: LoadedVersion, new: Outcomes) -> str | None:
    """A version that answers nothing has no outcome to be judged by."""
    waiting = await change.supervisor.front.in_flight(loaded.name, loaded.loading, "default")
    if new.answered == 0 and waiting:
        return f"it answered none of the {waiting} requests that it was sent"
    return None
