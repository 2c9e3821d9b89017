"""Guesses which missing tensor an unexpected one is likely meant to be."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher

from statehouse.models.tensors.tensor_info import TensorInfo

LIKELY = 0.6  # least similarity of two names, 0..1, below which a guess would mislead
MAX_CANDIDATES = 64  # names of equal dtype and shape that are compared one by one


def likely_renamings(
    missing: Mapping[str, TensorInfo], unexpected: Mapping[str, TensorInfo]
) -> dict[str, str]:
    """Map unexpected names to missing ones of the same dtype and shape, each used once."""
    scored = [
        (score, old, new)
        for old, candidates in _candidates(missing, unexpected).items()
        for new in candidates
        if (score := _similarity(old, new)) >= LIKELY
    ]
    renamings: dict[str, str] = {}
    for _, old, new in sorted(scored, key=lambda entry: -entry[0]):
        if old not in renamings and new not in renamings.values():
            renamings[old] = new
    return {old: renamings[old] for old in unexpected if old in renamings}


def _candidates(
    missing: Mapping[str, TensorInfo], unexpected: Mapping[str, TensorInfo]
) -> dict[str, list[str]]:
    by_info: dict[TensorInfo, list[str]] = {}
    for name, info in missing.items():
        by_info.setdefault(info, []).append(name)
    return {name: _related(name, by_info[info]) for name, info in unexpected.items() if info in by_info}


def _related(old: str, names: list[str]) -> list[str]:
    """Names inside one another first; so many of equal shape are then left alone, for speed."""
    inside = [new for new in names if _one_inside_other(old, new)]
    return inside or names[:MAX_CANDIDATES]


def _one_inside_other(old: str, new: str) -> bool:
    return old.endswith(f".{new}") or new.endswith(f".{old}")


def _similarity(old: str, new: str) -> float:
    if _one_inside_other(old, new):
        return 1.0 + min(len(old), len(new)) / max(len(old), len(new))
    if old.rpartition(".")[2] != new.rpartition(".")[2]:  # a weight is hardly ever a bias
        return 0.0
    return SequenceMatcher(None, old, new, autojunk=False).ratio()
