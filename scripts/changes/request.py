"""What a command sends to ask for a change, checked when it arrives."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from statehouse.scripts.changes.canary import AllowedWorsening, WithoutTraffic
from statehouse.scripts.changes.retire import DRAIN_SECONDS
from statehouse.scripts.changes.shadow import ShadowOptions
from statehouse.scripts.changes.swap import SwapOptions
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.store.names import ModelName, ModelVersion


class ChangeRequest(BaseModel):
    """One body for all kinds of change; each takes what it needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ModelName = ""  # not said: not asked of this kind of change
    version: ModelVersion = ""
    user: str
    host: str
    wait: bool = True
    workers: int = Field(default=1, ge=1, le=256)
    settings: VersionSettings | None = None  # None: those of the deployment
    retire: bool = False
    replace: bool = False
    allow_new_interface: bool = False
    drain_seconds: float = Field(default=DRAIN_SECONDS, ge=0)
    watch_seconds: float = Field(default=0, ge=0)
    canary_shares: tuple[float, ...] = ()
    canary_step_seconds: float = Field(default=30, gt=0)
    shadow: str | None = None
    shadow_tolerance: float = Field(default=1e-3, ge=0)
    fail_below: float = Field(default=0, ge=0, le=1)
    max_error_increase: float = Field(default=0.01, ge=0)
    max_latency_ratio: float = Field(default=1.5, ge=1)
    min_requests: int = Field(default=50, ge=1)
    without_traffic: WithoutTraffic = "go-back"

    def swap_options(self) -> SwapOptions:
        """Return how a swap goes about it."""
        return SwapOptions(
            retire=self.retire,
            replace=self.replace,
            allow_new_interface=self.allow_new_interface,
            drain_seconds=self.drain_seconds,
            watch_seconds=self.watch_seconds,
            canary_shares=self.canary_shares,
            canary_step_seconds=self.canary_step_seconds,
            worsening=AllowedWorsening(
                self.max_error_increase,
                self.max_latency_ratio,
                min_requests=self.min_requests,
                without_traffic=self.without_traffic,
            ),
            shadow=self.shadow_options(),
        )

    def shadow_options(self) -> ShadowOptions | None:
        """Return what to compare before the flip, None for nothing."""
        if self.shadow is None:
            return None
        return ShadowOptions(self.shadow, self.shadow_tolerance, self.fail_below)


class AbortRequest(BaseModel):
    """What a command sends to abort a change: the one of an id, or the one that runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    change: str | None = None
    user: str
    host: str
    wait: bool = True
