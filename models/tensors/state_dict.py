"""Which tensors a module expects, which it was given, and one report of every difference."""

from __future__ import annotations

import shlex
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from statehouse.models.errors import ArchitectureError, StateDictError
from statehouse.models.tensors.likely_names import likely_renamings
from statehouse.models.tensors.own_buffers import makeable, needless
from statehouse.models.tensors.prefixes import strip_prefixes
from statehouse.models.tensors.rename_rules import rules_of
from statehouse.models.tensors.tensor_info import TensorInfo
from statehouse.models.tensors.ties import broken_ties, spread_over_ties, tied_names

__all__ = [
    "Mismatch",
    "StateDictReport",
    "TensorInfo",
    "apply",
    "compare",
    "describe",
    "expected_tensors",
    "fit",
    "made_of",
    "of_this_version",
    "refuse_unless_ok",
    "strip_prefixes",
    "tensors_of",
]


@dataclass(frozen=True)
class Mismatch:
    """A tensor that is there, and is not what the module expects."""

    name: str
    expected: TensorInfo
    given: TensorInfo


@dataclass(frozen=True)
class StateDictReport:
    """Every difference between the tensors that a module expects and those it was given."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    wrong_shape: tuple[Mismatch, ...] = ()
    wrong_dtype: tuple[Mismatch, ...] = ()
    different_ties: tuple[tuple[str, str], ...] = ()
    made: tuple[str, ...] = ()  # missing buffers that the module makes itself (own_buffers.py)
    needless: tuple[str, ...] = ()  # tensors too many that have no part in the answers
    renamings: Mapping[str, str] = field(
        default_factory=dict
    )  # given name → the expected name it likely means
    rules: tuple[str, ...] = ()  # that make these renamings

    @property
    def ok(self) -> bool:
        """Whether every tensor fits."""
        return not (
            self.missing or self.unexpected or self.wrong_shape or self.wrong_dtype or self.different_ties
        )

    @property
    def at_initial_value(self) -> tuple[str, ...]:
        """Names that a load with strict=False leaves at their initial value."""
        return (
            *self.missing,
            *self.made,
            *(mismatch.name for mismatch in (*self.wrong_shape, *self.wrong_dtype)),
        )

    def lines(self) -> list[str]:
        """Return one line per difference; a likely renaming is one, not a missing and an unexpected name."""
        renamed = {*self.renamings, *self.renamings.values()}
        lines = [f"likely renaming: {old} → {new}" for old, new in self.renamings.items()]
        if self.rules:
            copied = " ".join(f"--rename {shlex.quote(rule)}" for rule in self.rules)
            lines.append(f"if that is meant, say --accept-renames, or {copied}")
        lines += [f"missing: {name}" for name in self.missing if name not in renamed]
        lines += [f"unexpected: {name}" for name in self.unexpected if name not in renamed]
        lines += [f"wrong shape: {m.name} is {m.given}, expected {m.expected}" for m in self.wrong_shape]
        lines += [f"wrong dtype: {m.name} is {m.given}, expected {m.expected}" for m in self.wrong_dtype]
        lines += [f"tied in the module, different here: {a} and {b}" for a, b in self.different_ties]
        return lines


def describe(state_dict: Mapping[str, Tensor]) -> dict[str, TensorInfo]:
    """Describe every tensor."""
    return {name: TensorInfo.of(tensor) for name, tensor in state_dict.items()}


def expected_tensors(module: nn.Module) -> dict[str, TensorInfo]:
    """Return what `module` expects, by names without wrapper prefixes.

    Raises:
        ArchitectureError: the module's state is not made of tensors of known shape alone.
    """
    return describe(strip_prefixes(tensors_of(module)))


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Return the module's own state_dict; raises ArchitectureError unless it is tensors of known shape."""
    state: dict[str, object] = dict(module.state_dict())
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    odd = [name for name in state if name not in tensors or nn.parameter.is_lazy(tensors[name])]
    if odd:
        raise ArchitectureError(
            f"the state of {type(module).__qualname__} is not tensors of known shape alone: "
            f"{', '.join(odd)}; keep extra state in buffers, and run lazy modules once before saving"
        )
    return tensors


def compare(expected: Mapping[str, TensorInfo], given: Mapping[str, TensorInfo]) -> StateDictReport:
    """Report every missing, unexpected, wrong-shape and wrong-dtype name, and what it was likely called."""
    both = [name for name in expected if name in given]
    mismatches = [
        Mismatch(name, expected[name], given[name]) for name in both if expected[name] != given[name]
    ]
    missing = {name: info for name, info in expected.items() if name not in given}
    unexpected = {name: info for name, info in given.items() if name not in expected}
    renamings = likely_renamings(missing, unexpected)
    return StateDictReport(
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        wrong_shape=tuple(m for m in mismatches if m.expected.shape != m.given.shape),
        wrong_dtype=tuple(m for m in mismatches if m.expected.shape == m.given.shape),
        renamings=renamings,
        rules=rules_of(renamings, given),
    )


def fit(module: nn.Module, state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], StateDictReport]:
    """Return the tensors of `state_dict` that fit, by the names that `module` itself uses, and the report.

    A tensor that is given under one of several tied names counts as given under all of them. Buffers that the
    module makes itself may be absent, and needless ones are left out; both are in the report.
    """
    own_names = strip_prefixes({name: name for name in module.state_dict()})
    short_names = {own: short for short, own in own_names.items()}
    expected = expected_tensors(module)
    ties = [[short_names[name] for name in names if name in short_names] for names in tied_names(module)]
    given = spread_over_ties(strip_prefixes(state_dict), ties)
    made = makeable(module, [own_names[name] for name in expected if name not in given])
    given |= {short_names[own]: buffer for own, buffer in made.items()}
    extra = needless(module, {name: given[name] for name in given if name not in expected})
    given = {name: tensor for name, tensor in given.items() if name not in extra}
    infos = describe(given)
    report = replace(
        compare(expected, infos),
        different_ties=broken_ties(given, ties),
        made=tuple(short_names[own] for own in made),
        needless=tuple(extra),
    )
    fitting = {
        own_names[name]: given[name]
        for name, info in expected.items()
        if infos.get(name) == info and own_names[name] not in made
    }
    return fitting, report


def made_of(module: nn.Module, report: StateDictReport) -> dict[str, Tensor]:
    """Return the buffers that `report` says `module` makes itself, by its own names."""
    own_names = strip_prefixes({name: name for name in module.state_dict()})
    return {own_names[name]: module.get_buffer(own_names[name]) for name in report.made}


def apply(module: nn.Module, state_dict: Mapping[str, Tensor], *, strict: bool = True) -> StateDictReport:
    """Copy the tensors that fit into `module`, which keeps its mode, its device and its gradients.

    Raises:
        StateDictError: with `strict`, when anything does not fit; nothing is copied then.
    """
    fitting, report = fit(module, state_dict)
    if strict:
        refuse_unless_ok(report, module)
    module.load_state_dict(of_this_version(module, fitting), strict=False)
    return report


def of_this_version(module: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with the `_metadata` of `module`, which they fit: its parts then convert none of them.

    Without it, parts take them for those of an older version, and torchvision's MNASNet loads nothing.
    """
    versioned = OrderedDict(tensors)
    versioned._metadata = getattr(module.state_dict(), "_metadata", {})  # type: ignore[attr-defined]
    return versioned


def refuse_unless_ok(report: StateDictReport, module: nn.Module) -> None:
    """Raise StateDictError with the whole report unless every tensor fits."""
    if not report.ok:
        raise StateDictError(
            f"the state_dict does not fit {type(module).__qualname__}; rename, convert or retrain what is listed:",
            report,
        )
