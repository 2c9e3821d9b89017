"""What `statehouse inspect` prints for people: the verdict, then what it is, then its tensors."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statehouse.scripts.errors import NameRuleError
from statehouse.scripts.store.manifest import READING_KEY
from statehouse.scripts.store.names import check_name
from statehouse.scripts.terminal.console import GOLDEN_SOURCES, out, say, size_text, width_of
from statehouse.scripts.terminal.escaping import Text
from statehouse.scripts.terminal.tables import Column, table_lines

if TYPE_CHECKING:
    from statehouse.models.checkpoint import CheckpointHeader
    from statehouse.scripts.publishing.inspect import Inspection

MAX_TENSORS = 24
MAX_ITEMS = 12  # of a list; longer ones are counted
LONGEST = 100  # characters of one value
PARAGRAPH_WIDTH = 60

_TENSOR_COLUMNS = (Column("TENSOR"), Column("DTYPE", dispensable=1), Column("SHAPE"))
_RULE_COLUMNS = (Column("RENAME"), Column("NAMES", numeric=True))
_NAME_COLUMNS = (Column("IN THE FILE"), Column("BECOMES"))
_MODULE_COLUMNS = (Column("MODULE"), Column("PICKLED AS"))
_FACT_COLUMNS = (Column("FACT"), Column("VALUE"))


def print_inspection(found: Inspection, *, publish_options: Iterable[str] = ()) -> None:
    """Print whether it would load and why not, then what it is.

    ``publish_options`` are what a publish of it must be told as well.
    """
    _print_verdict(found)
    if found.would_load and found.kind == "checkpoint":
        say(f"Publish it: {_publish_command(found.target, publish_options)}")
    if found.facts:
        out.print()
        _print_facts(found.facts)
        print_renaming(found.facts.get("renaming") or {})
        _print_modules(found.facts.get("modules") or {})
        _print_tensors(found.facts.get("tensors") or {})


def _print_verdict(found: Inspection) -> None:
    mark, verdict = ("✓ ", "it would load") if found.would_load else ("✗ ", "it would not load")
    style = "green" if found.would_load else "red"
    say(Text.assemble((mark, style), (found.target, "bold"), f": {verdict}"))
    for problem in found.problems:
        say(Text.assemble(("  ✗ ", "red"), problem))
    for note in found.notes:
        say(Text.assemble(("  note: ", "yellow"), note))


def print_reading(header: CheckpointHeader) -> None:
    """Print how a foreign file is read; nothing where that is plain."""
    if header.notes:
        say(f"{header.path}: {header.origin}")
    for note in header.notes:
        say(Text.assemble(("  · ", "dim"), note))
    print_renaming(header.renaming.to_plain())


def print_renaming(renaming: dict[str, Any]) -> None:
    """Print how many names each rule matched, and what the names became; nothing without rules."""
    if not renaming.get("rules"):
        return
    rules = [(rule["rule"], f"{rule['matched']:,}") for rule in renaming["rules"]]
    names = [(old, new or Text("left out", style="yellow")) for old, new in renaming["names"].items()]
    for columns, rows in ((_RULE_COLUMNS, rules), (_NAME_COLUMNS, names[:MAX_TENSORS])):
        out.print()
        for line in table_lines(columns, rows, width=width_of(out)):
            out.print(line)
    _print_rest(len(names))


def _print_modules(modules: dict[str, str]) -> None:
    """Print the tree of a pickled module: what it was is told by its classes and their settings."""
    if not modules:
        return
    out.print()
    rows = [(name or ".", what) for name, what in list(modules.items())[:MAX_TENSORS]]
    for line in table_lines(_MODULE_COLUMNS, rows, width=width_of(out)):
        out.print(line)
    _print_rest(len(modules))


def _print_rest(count: int) -> None:
    if count > MAX_TENSORS:
        say(Text(f"… and {count - MAX_TENSORS:,} more (all with inspect --json)", style="dim"))


def next_commands(found: Inspection, publish_options: Iterable[str] = ()) -> list[str]:
    """Return what to type next: the publish of what would load, or one for each candidate; nothing where none helps."""
    if found.kind != "checkpoint":
        return []
    if found.would_load:
        return [_publish_command(found.target, publish_options)]
    return [candidate["command"] for candidate in found.facts.get("candidates", [])]


def _publish_command(target: str, options: Iterable[str]) -> str:
    stem = Path(target).stem
    try:
        name = check_name(stem)
    except NameRuleError:
        name = "NAME"
    return shlex.join(["statehouse", "publish", target, "--name", name, "--version", "1.0", *options])


def _print_facts(facts: dict[str, Any]) -> None:
    rows = [(name, line) for name, lines in _facts(facts) for name, line in _labelled(name, lines)]
    shown = [(Text(name, style="dim"), value) for name, value in rows]
    for line in table_lines(_FACT_COLUMNS, shown, width=width_of(out), headed=False):
        out.print(line)


def _labelled(name: str, lines: list[str]) -> list[tuple[str, str]]:
    return [(name if number == 0 else "", line) for number, line in enumerate(lines)]


def _facts(facts: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return what is worth a line, or some: name and lines."""
    known: list[tuple[str, Sequence[str | None]]] = [
        ("file", _file(facts)),
        ("read", facts.get("read") or []),
        ("architecture", [facts.get("architecture")]),
        ("config", _filled(_named(facts.get("config")))),
        *_task_facts(facts.get("task"), facts.get("task_config") or {}),
        ("parameters", _parameters(facts)),
        ("training state", _training(facts)),
        ("golden examples", [_golden(facts)]),
        ("rows", [facts.get("rows"), _row_proof(facts.get("row_proof"))]),
        ("published", [facts.get("published")]),
        *_reading(facts.get("metadata") or {}),
        ("metadata", _named(facts.get("metadata"), but=("format_version", READING_KEY))),
        ("digest", [facts.get("digest")]),
    ]
    told = [(name, [line for line in lines if line]) for name, lines in known]
    return [(name, lines) for name, lines in told if lines]


def _reading(metadata: dict[str, Any]) -> list[tuple[str, list[str | None]]]:
    """Return what a version's metadata says of the foreign file that it was made of."""
    reading = metadata.get(READING_KEY)
    if not isinstance(reading, dict):
        return []
    rules = [f"renamed by {rule['rule']}" for rule in reading.get("renaming", {}).get("rules", [])]
    return [("made of", [reading.get("origin"), *reading.get("how", []), *rules])]


def _file(facts: dict[str, Any]) -> list[str]:
    if "files" in facts:
        size_bytes = sum(file["size_bytes"] for file in facts["files"].values())
        return [f"{facts['folder']}, {size_text(size_bytes)}"]
    shards = f" in {len(facts['shards'])} shards" if facts.get("shards") else ""
    return [f".{facts['container']}, {size_text(facts['size_bytes'])}{shards}, {facts['origin']}"]


def _task_facts(task: str | None, config: dict[str, Any]) -> list[tuple[str, list[str | None]]]:
    features, labels = config.get("features") or [], config.get("labels")
    target = ("target_mean", "target_std") if labels else ()  # of a regression only
    signature = ("inputs", "outputs") if task == "signature" else ()
    rest = _filled(_named(config, but=("features", "labels", "kind", *target, *signature)))
    lines = [line.plain for line in table_lines(_FACT_COLUMNS, _features(features), width=None, headed=False)]
    return [
        ("task", [", ".join(filter(None, (task, config.get("kind")))), *rest]),
        ("inputs", _kinds(config.get("inputs"))),
        ("outputs", _kinds(config.get("outputs"))),
        (f"features ({len(features)})", [*lines]),
        ("labels", [_shown(labels).strip("[]")] if labels else []),
    ]


def _kinds(named: object) -> list[str | None]:
    """Return a signature's inputs or outputs, a line each; nothing of other tasks, whose outputs are a word."""
    if not isinstance(named, dict):
        return []
    return [
        ", ".join([f"{name}: {config['kind']}", *_named(_short(config), but=("kind",))])
        for name, config in named.items()
    ]


def _short(config: dict[str, Any]) -> dict[str, Any]:
    """Return a kind's config with the names of its features alone."""
    features = config.get("features")
    return config | {"features": [each["name"] for each in features]} if features else config


def _features(features: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(feature["name"], _feature(feature)) for feature in features]


def _feature(feature: dict[str, Any]) -> str:
    if feature["type"] == "categorical":
        return f"one of {_shown(feature['categories']).strip('[]')}"
    bounds = [("≥", feature.get("minimum")), ("≤", feature.get("maximum"))]
    told = [f"{sign} {_shown(bound)}" for sign, bound in bounds if bound is not None]
    return ", ".join([f"{_shown(feature['mean'])} ± {_shown(feature['std'])}", *told])


def _filled(items: list[str]) -> list[str]:
    """Put several short items into a line, as in a paragraph."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) < PARAGRAPH_WIDTH:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return lines


def _named(values: dict[str, Any] | None, but: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{key} {_shown(value)}"
        for key, value in (values or {}).items()
        if value is not None and value != [] and key not in but
    ]


def _shown(value: Any) -> str:  # noqa: ANN401 - any plain data
    if isinstance(value, list) and len(value) > MAX_ITEMS:
        return f"{', '.join(map(_shown, value[:3]))} … ({len(value):,} in all)"
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _parameters(facts: dict[str, Any]) -> list[str]:
    if facts.get("parameter_count") is None:
        return []
    macs = facts.get("macs_per_row")
    work = [] if macs is None else [f"about {macs:,} multiply-accumulates per row"]
    speedup = facts.get("frozen_speedup")
    work += [f"{speedup:.2g} times as fast frozen"] if speedup else []
    return [", ".join([f"{facts['parameter_count']:,}", *(facts.get("dtypes") or ["none"]), *work])]


def _training(facts: dict[str, Any]) -> list[str]:
    if "has_training_state" not in facts:
        return []
    return ["yes; publishing leaves it out" if facts["has_training_state"] else "none"]


def _golden(facts: dict[str, Any]) -> str:
    if "golden" in facts:
        return f"{facts['golden']['count']}, {GOLDEN_SOURCES[facts['golden']['source']]}"
    return (
        str(facts["examples"]) if facts.get("examples") else "none; publishing makes one, or takes --example"
    )


def _row_proof(proof: dict[str, Any] | None) -> str | None:
    """Return what a version's manifest says of how its rows were proved."""
    if proof is None:
        return None
    sizes = ", ".join(map(str, proof["batch_sizes"])) or "none"
    alone = "; each row is computed alone" if proof["row_by_row"] else ""
    return (
        f"proved at publish: {proof['rows']} rows, batches of {sizes}, {proof['tolerance']:g} allowed{alone}"
    )


def _print_tensors(tensors: dict[str, Any]) -> None:
    if not tensors:
        return
    rows = [
        (name, tensor["dtype"], "×".join(map(str, tensor["shape"])) or "scalar")
        for name, tensor in list(tensors.items())[:MAX_TENSORS]
    ]
    out.print()
    for line in table_lines(_TENSOR_COLUMNS, rows, width=width_of(out)):
        out.print(line)
    _print_rest(len(tensors))
