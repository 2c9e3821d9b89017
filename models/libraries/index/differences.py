"""In what architectures differ whose tensors are equal in names and shapes: their layers' classes and settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from statehouse.models.libraries.index.facts import Facts, Layer, shown
from statehouse.models.libraries.index.group import Difference

MOST = 8  # of one group
Said = tuple[str | None, ...]  # what each architecture has, in their order; None: nothing to compare
Tell = Callable[[Said, tuple[Facts, ...]], Iterator[Difference]]
Layers = Callable[[Facts], Mapping[str, Layer]]


def differences(
    facts: Mapping[str, Facts], preprocessing: Mapping[str, Mapping[str, str]]
) -> tuple[Difference, ...]:
    """Return what can be told apart of the architectures, by name; () where nothing that is plain differs."""
    names, each = tuple(facts), tuple(facts.values())
    found = [
        *_settings(names, each, lambda one: one.with_tensors),
        *_settings(names, each, lambda one: one.blocks),
        *_of_each_library(_classes, facts),
        *_of_each_library(_counts, facts),
        *_preprocessing(names, [preprocessing.get(name, {}) for name in names]),
    ]
    return tuple(found[:MOST])


def _of_each_library(tell: Tell, facts: Mapping[str, Facts]) -> Iterator[Difference]:
    """Compare within each library: what one does by a layer, another does by a function."""
    libraries: dict[str, dict[str, Facts]] = defaultdict(dict)
    for name, one in facts.items():
        libraries[name.partition(":")[0]][name] = one
    for own in libraries.values():
        yield from tell(tuple(own), tuple(own.values()))


def _classes(names: Said, facts: tuple[Facts, ...]) -> Iterator[Difference]:
    """Tell of layers with the same tensors and other classes."""
    seen: dict[Said, list[str]] = defaultdict(list)
    for path in facts[0].with_tensors:
        layers = [one.with_tensors.get(path) for one in facts]
        seen[tuple(layer.kind if layer else None for layer in layers)].append(path)
    for kinds, paths in seen.items():
        yield from _difference(f"class of {_layers(paths)}", names, kinds)


def _settings(names: Said, facts: tuple[Facts, ...], layers_of: Layers) -> Iterator[Difference]:
    """Tell of settings that layers at the same place have otherwise."""
    seen: dict[tuple[str, Said], list[str]] = defaultdict(list)
    for path, first in layers_of(facts[0]).items():
        layers = [layers_of(one).get(path) for one in facts]
        for name in first.settings:
            seen[name, tuple(_said(layer, name) for layer in layers)].append(path)
    for (name, values), paths in seen.items():
        yield from _difference(f"{name} of {_layers(paths)}", names, values)


def _said(layer: Layer | None, name: str) -> str | None:
    return shown(layer.settings[name]) if layer and name in layer.settings else None


def _counts(names: Said, facts: tuple[Facts, ...]) -> Iterator[Difference]:
    """Tell of layers without tensors that some do not have at all, and where all have as many how they are set."""
    kinds = sorted({kind for one in facts for kind in one.without_tensors})
    counts = {kind: [one.without_tensors[kind] for one in facts] for kind in kinds}
    for kind in kinds:
        if 0 in counts[kind]:
            yield from _difference(kind, names, tuple(str(count or "none") for count in counts[kind]))
    same = {kind for kind in kinds if len(set(counts[kind])) == 1}
    for text in sorted({text for one in facts for text in one.settings}):
        if text.rpartition(" of ")[2] in same:
            having = tuple(str(one.settings[text] or "none") for one in facts)
            yield from _difference(f"layers with {text}", names, having)


def _preprocessing(names: Said, said: list[Mapping[str, str]]) -> Iterator[Difference]:
    for field in sorted({field for one in said for field in one}):
        yield from _difference(
            f"{field} of the library's own weights", names, tuple(one.get(field) for one in said)
        )


def _layers(paths: list[str]) -> str:
    first = paths[0] or "the whole"
    return first if len(paths) == 1 else f"{len(paths)} layers such as {first}"


def _difference(what: str, names: Said, said: Said) -> Iterator[Difference]:
    """Yield a difference where two that can be compared are not equal."""
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in zip(names, said, strict=True):
        if name is not None and value is not None:
            values[value].append(name)
    if len(values) > 1:
        yield Difference(what, {value: tuple(having) for value, having in values.items()})
