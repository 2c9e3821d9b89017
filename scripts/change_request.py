"""What a command sends to ask for a change, checked when it arrives."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from scripts.change import Change
from scripts.deployment import VersionSettings
from scripts.desired import settings_for
from scripts.judge import Limits
from scripts.names import ModelName, ModelVersion
from scripts.reconfigure import find, keep, reconfigure, told
from scripts.shadow import ShadowOptions
from scripts.swap import DRAIN_SECONDS, SwapOptions, retire


class ChangeRequest(BaseModel):
    """One body for all kinds of change; each takes what it needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal[""] | ModelName = ""
    version: Literal[""] | ModelVersion = ""
    user: str
    host: str
    wait: bool = True
    workers: int = Field(default=1, ge=1, le=256)
    settings: VersionSettings | None = None  # None: those of the deployment
    retire: bool = False
    replace: bool = False
    drain_seconds: float = Field(default=DRAIN_SECONDS, ge=0)
    watch_seconds: float = Field(default=0, ge=0)
    canary_shares: tuple[float, ...] = ()
    canary_step_seconds: float = Field(default=30, gt=0)
    shadow: str | None = None
    shadow_tolerance: float = Field(default=1e-3, ge=0)
    fail_below: float = Field(default=0, ge=0, le=1)
    max_error_increase: float = Field(default=0.01, ge=0)
    max_latency_ratio: float = Field(default=1.5, ge=1)

    def swap_options(self) -> SwapOptions:
        """Return how a swap goes about it."""
        return SwapOptions(
            retire=self.retire,
            replace=self.replace,
            drain_seconds=self.drain_seconds,
            watch_seconds=self.watch_seconds,
            canary_shares=self.canary_shares,
            canary_step_seconds=self.canary_step_seconds,
            limits=Limits(self.max_error_increase, self.max_latency_ratio),
            shadow=self.shadow_options(),
        )

    def shadow_options(self) -> ShadowOptions | None:
        """Return what to compare before the flip, None for nothing."""
        if self.shadow is None:
            return None
        return ShadowOptions(self.shadow, self.shadow_tolerance, self.fail_below)


async def retired(change: Change, version: str, drain_seconds: float) -> list[str]:
    """Retire a version; return what was done."""
    change.entry["to"] = change.described(version)
    await retire(change, version, drain_seconds)
    return [f"{change.name} {version} retired"]


async def scaled(change: Change, version: str, workers: int) -> list[str]:
    """Give a version so many workers; return what was done."""
    find(change, version)
    settings = _desired(change, version).model_copy(update={"workers": workers})
    done = await run_with(change, version, settings)
    return [f"{change.name} {version} has {workers} workers"] if done else []


async def run_with(
    change: Change, version: str, settings: VersionSettings | None, *, desired: bool = True
) -> list[str]:
    """Run a version with other settings, None: those of the deployment; return what was done.

    What is not ``desired`` is a trial: it ends with the next change of the settings, or a start.
    """
    running, deployed = find(change, version).settings, _desired(change, version)
    wanted = settings or deployed
    if running != wanted:
        await reconfigure(change, version, wanted, desired=desired and wanted != deployed)
    elif desired and wanted != deployed:
        await keep(change, version, wanted)
    else:
        return []
    return [f"{change.name} {version} runs in {wanted.total_workers} workers, {told(wanted)}"]


def _desired(change: Change, version: str) -> VersionSettings:
    settings = settings_for(change.supervisor.deployment, change.name, version)
    return settings or find(change, version).settings
