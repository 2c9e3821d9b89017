"""Whether one more version would fit: estimates on the safe side."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from statehouse.scripts.changes import memory
from statehouse.scripts.changes.memory import STOP_FIRST, refuse_if_too_large
from statehouse.scripts.deployment.defaults import COPIED_WEIGHTS_FACTOR, WEIGHTS_FACTOR, WORKER_BYTES
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import NotEnoughMemoryError

WEIGHTS, KEPT_FREE = 1 << 30, 100 << 20
TWO = VersionSettings(workers=2)
OPTIMIZED = TWO.model_copy(update={"optimizations": ("freeze",)})


@pytest.fixture
def change():
    published = SimpleNamespace(manifest=SimpleNamespace(checkpoint_bytes=WEIGHTS))
    limits = SimpleNamespace(keep_free_bytes=KEPT_FREE)
    return SimpleNamespace(
        name="net",
        store=SimpleNamespace(get=lambda name, version: published),
        desired=SimpleNamespace(deployment=SimpleNamespace(limits=limits)),
    )


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        (TWO, 2 * WORKER_BYTES + WEIGHTS_FACTOR * WEIGHTS),
        (OPTIMIZED, 2 * WORKER_BYTES + 2 * COPIED_WEIGHTS_FACTOR * WEIGHTS),
    ],
)
def test_weights_are_shared_unless_each_worker_changes_them(change, settings, needed, monkeypatch):
    free = round(needed) + KEPT_FREE
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    refuse_if_too_large(change, "1.1", settings)
    monkeypatch.setattr(memory, "available_bytes", lambda: free - 1)
    with pytest.raises(NotEnoughMemoryError):
        refuse_if_too_large(change, "1.1", settings)


def test_what_is_needed_what_there_is_and_what_to_do_are_told(change, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: KEPT_FREE - 1)
    needed = round(2 * WORKER_BYTES + WEIGHTS_FACTOR * WEIGHTS) >> 20
    with pytest.raises(NotEnoughMemoryError) as caught:
        refuse_if_too_large(change, "1.1", TWO, hint="Retire another version")
    assert str(caught.value) == (
        f"net 1.1 needs about {needed:,} MiB (2 workers, 1,024 MiB of weights), and 0 MiB are free. "
        "Retire another version, or give it fewer workers."
    )
    with pytest.raises(NotEnoughMemoryError) as caught:
        refuse_if_too_large(change, "1.1", TWO)
    assert STOP_FIRST in str(caught.value)
