"""Judging a new version by real requests: after the flip (watch), or on a share of them before it (canary)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from statehouse.models.errors import StatehouseError
from statehouse.scripts.changes.change import Change
from statehouse.scripts.changes.retire import DRAIN_SECONDS
from statehouse.scripts.deployment.file import Deployment
from statehouse.scripts.errors import ChangeAbortedError, RolledBackError
from statehouse.scripts.supervisor.loaded_version import LoadedVersion
from statehouse.scripts.traffic.outcomes import Outcomes

LOOK_SECONDS = 0.5
WithoutTraffic = Literal["go-back", "flip"]
# A percentile of a few answers says little: so many are waited for, where they come in time.
BASELINE_ANSWERS = 200
BASELINE_SECONDS = 10.0


async def observe_before(change: Change, before: str) -> None:
    """See how the old version does, so that there is something to compare the new one with."""
    text = f"{before} observed, to compare with"
    async with change.step("baseline", text, seconds=BASELINE_SECONDS, at_most=True):
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
    worsening: AllowedWorsening,
) -> None:
    """Compare the new default with how the old one did; go back to that when it is worse.

    Raises RolledBackError with what was worse; then the old version serves again.
    """
    change.observe()
    old = change.seen(before)
    try:
        async with change.step("watch", f"{loaded.version} watched for {seconds:g} s", seconds=seconds):
            reason = await _judged(change, loaded, seconds, worsening, baseline=lambda: old)
            reason = reason or too_few(change.seen(loaded.version), worsening)
    except ChangeAbortedError:
        raise
    except StatehouseError as error:
        reason = f"it could not be watched to the end: {error}"
    _tell(change, (before, old), (loaded.version, change.seen(loaded.version)))
    if reason is None:
        return
    await _flip_back(change, before, desired_before)
    await _let_it_finish(change, loaded)
    raise RolledBackError(f"{loaded.version} did not pass: {reason}. {before} serves again.")


def _tell(change: Change, *judged: tuple[str, Outcomes]) -> None:
    """Say on what the verdict stands."""
    for version, outcomes in judged:
        change.say(f"{version}: {outcomes.told()}")


async def _flip_back(change: Change, before: str, desired_before: Deployment) -> None:
    async with change.step("roll back", f"{change.name} is served by {before} again", undoing=True):
        try:
            await _go_back(change, before, desired_before)
        except StatehouseError as error:
            change.say(str(error), failed=True)


async def _go_back(change: Change, version: str, desired: Deployment) -> None:
    """Flip back, also where that cannot be written or told: what is served matters more.

    Raises what ``insist_on`` and TorchServe raise, once requests go to ``version`` again.
    """
    await change.front.set_default(change.name, version)
    try:
        change.desired.insist_on(desired)
    finally:
        await change.fleet.assert_default(change.name)


async def _let_it_finish(change: Change, loaded: LoadedVersion) -> None:
    """Wait for what it has been sent: it is to be unloaded, which would cut that short."""
    async with change.step("drain", f"nothing is left in flight in {loaded.version}", undoing=True):
        await change.drain(loaded, explicit=True, deadline_seconds=DRAIN_SECONDS)


async def canary(
    change: Change,
    before: str,
    loaded: LoadedVersion,
    *,
    shares: tuple[float, ...],
    step_seconds: float,
    worsening: AllowedWorsening,
) -> None:
    """Send the new version a growing share of the requests that name none, and judge it at each.

    Raises RolledBackError with what was worse; then all requests go to the old version again.
    """
    front = change.front
    reason = None
    for share in shares:
        text = f"{loaded.version} had {share:.0%} of the requests"
        async with change.step(f"canary {share:.0%}", text, seconds=step_seconds):
            await front.set_canary(change.name, loaded.version, share=share)
            reason = await _judged(
                change, loaded, step_seconds, worsening, baseline=lambda: change.seen(before)
            )
        if reason:
            break
    new = change.seen(loaded.version)
    reason = reason or too_few(new, worsening)
    _tell(change, (before, change.seen(before)), (loaded.version, new))
    if reason is None:
        return
    async with change.step("roll back", f"{before} has all requests again", undoing=True):
        await front.remove_canary(change.name)
    await _let_it_finish(change, loaded)
    raise RolledBackError(f"{loaded.version} did not pass: {reason}. {before} serves again.")


async def _judged(
    change: Change,
    loaded: LoadedVersion,
    seconds: float,
    worsening: AllowedWorsening,
    *,
    baseline: Callable[[], Outcomes],
) -> str | None:
    """Return why the new version is worse, as soon as it is; None when it was not for so long."""
    deadline = time.monotonic() + seconds
    new = Outcomes()
    while (left := deadline - time.monotonic()) > 0:
        await asyncio.sleep(min(LOOK_SECONDS, left))
        new += change.observe().get(loaded.version, Outcomes())
        reason = verdict(baseline(), new, worsening)
        if reason:
            return reason
    return await _silent(change, loaded, new)


async def _silent(change: Change, loaded: LoadedVersion, new: Outcomes) -> str | None:
    """A version that answers nothing has no outcome to be judged by."""
    waiting = await change.front.in_flight(loaded.name, loaded.load_id, "default")
    if new.answered == 0 and waiting:
        return f"it answered none of the {waiting} requests that it was sent"
    return None


# HAProxy counts in whole milliseconds: less than this is no difference.
LATENCY_FLOOR_SECONDS = 0.005


@dataclass(frozen=True)
class AllowedWorsening:
    """How much worse a new version may be."""

    max_error_increase: float = 0.01  # of the share of answers that are the server's fault
    max_latency_ratio: float = 1.5  # of the 99th percentile
    min_answers: int = 20  # before latency is judged, of both
    min_requests: int = 50  # of the new version, or it has not been judged at all
    without_traffic: WithoutTraffic = "go-back"  # what becomes of one that was not


def verdict(old: Outcomes, new: Outcomes, worsening: AllowedWorsening) -> str | None:
    """Return why ``new`` is worse than ``worsening`` allows, None while it is not."""
    return (
        _too_many_errors(old, new, worsening)
        or _too_many_refused(old, new, worsening)
        or _too_slow(old, new, worsening)
    )


def too_few(new: Outcomes, worsening: AllowedWorsening) -> str | None:
    """Return why nothing can be said of the new version, None where it had requests enough."""
    if new.answered >= worsening.min_requests or worsening.without_traffic == "flip":
        return None
    return (
        f"it had {new.answered} requests, and at least {worsening.min_requests} are needed to judge it "
        "(--min-requests; --without-traffic flip makes it the default all the same)"
    )


def _too_many_errors(old: Outcomes, new: Outcomes, worsening: AllowedWorsening) -> str | None:
    allowed = old.error_rate + worsening.max_error_increase
    if new.failed == 0 or new.error_rate <= allowed:
        return None
    return (
        f"{new.failed} of {new.answered} answers failed ({new.error_rate:.1%}); "
        f"allowed is {allowed:.1%} (the old version had {old.error_rate:.1%})"
    )


def _too_many_refused(old: Outcomes, new: Outcomes, worsening: AllowedWorsening) -> str | None:
    allowed = old.refusal_rate + worsening.max_error_increase
    if new.refused == 0 or new.refusal_rate <= allowed:
        return None
    return (
        f"{new.refused} of {new.answered} requests were refused with 4xx ({new.refusal_rate:.1%}); "
        f"allowed is {allowed:.1%} (the old version refused {old.refusal_rate:.1%})"
    )


def _too_slow(old: Outcomes, new: Outcomes, worsening: AllowedWorsening) -> str | None:
    if min(old.answered, new.answered) < worsening.min_answers:
        return None
    old_p99, new_p99 = old.percentile_seconds(0.99), new.percentile_seconds(0.99)
    if old_p99 is None or new_p99 is None:
        return None
    allowed = max(old_p99 * worsening.max_latency_ratio, old_p99 + LATENCY_FLOOR_SECONDS)
    if new_p99 <= allowed:
        return None
    return (
        f"99 % of answers took up to {new_p99 * 1000:.0f} ms; "
        f"allowed is {allowed * 1000:.0f} ms (the old version took {old_p99 * 1000:.0f} ms)"
    )
