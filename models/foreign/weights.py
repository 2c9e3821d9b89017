"""Which state_dict of a file is taken: trainers save the weights themselves, their moving average, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from statehouse.models.foreign.averaged_statistics import statistics_note

Weights = Literal["model", "ema"]
# What save_checkpoint writes; its keys as tutorials write them; Lightning's; torchvision's; bare tensors.
Form = Literal["statehouse", "model_state_dict", "lightning", "state_dict", "model", "bare"]

STATE_DICT_KEYS: tuple[tuple[str, Form], ...] = (
    ("model_state_dict", "model_state_dict"),
    ("state_dict", "state_dict"),
    ("model", "model"),
)
# As diffusion trainers, timm, torchvision's references, BasicSR and YOLO call the moving average.
EMA_KEYS = (
    "ema_state_dict",
    "model_ema_state_dict",
    "ema_model_state_dict",
    "state_dict_ema",
    "model_ema",
    "ema_model",
    "params_ema",
    "ema",
)
LIGHTNING_KEY = "pytorch-lightning_version"
# Lightning's WeightAveraging puts the average where the model was, the model and the counter beside it.
LIGHTNING_MODEL_KEY, LIGHTNING_AVERAGING_KEY = "current_model_state", "averaging_state"
AVERAGED_KEY = "n_averaged"  # torch.optim.swa_utils.AveragedModel counts in a buffer beside its module

_INSIDE_EMA = ("module", "state_dict", "model_state_dict", "model", "shadow")


@dataclass(frozen=True)
class Chosen:
    """The state_dict that is taken, as it stands in the file; `key` is where it was, None for the file itself."""

    form: Form
    key: str | None
    tensors: Mapping[Any, Any]
    weights: Weights = "model"
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    updates: int | None = None  # of an average, where its counter says how many


def choose_weights(held: Mapping[Any, Any], asked: Weights | None) -> Chosen | None:
    """Return the state_dict to take of what a file held, None where there is none of a known form.

    Where a file has both, the moving average is taken, which is what its trainer evaluates, unless `asked` says
    otherwise. What was asked for and is not there is among the problems.
    """
    chosen = _choose(held, asked)
    if chosen is None or chosen.weights == "model":
        return chosen
    note = statistics_note(chosen.tensors, _last_model(held, chosen), chosen.updates)
    return replace(chosen, notes=(*chosen.notes, note)) if note else chosen


def _last_model(held: Mapping[Any, Any], chosen: Chosen) -> Mapping[Any, Any] | None:
    """Return the model that was averaged, where it is in the file beside its average."""
    plain = _model_key(held)
    return held[plain[0]] if plain and plain[0] != chosen.key else None


def _choose(held: Mapping[Any, Any], asked: Weights | None) -> Chosen | None:
    plain, average = _model_key(held), next((key for key in EMA_KEYS if _holds_tensors(held.get(key))), None)
    if plain and plain[0] == LIGHTNING_MODEL_KEY:
        average = "state_dict"
    if plain is None and average is None:
        return _bare(held, asked)
    form: Form = "lightning" if LIGHTNING_KEY in held else plain[1] if plain else "state_dict"
    if average is None or (plain is not None and asked == "model"):
        return _only_model(form, plain, held, average, asked)
    notes = [f"the moving average ({average}) is taken; --weights model takes {plain[0]}"] if plain else []
    problems = _absent("model", asked) if plain is None else ()
    return _averaged(Chosen(form, average, _inside(held[average]), "ema", tuple(notes), problems))


def _model_key(held: Mapping[Any, Any]) -> tuple[str, Form] | None:
    both = (held.get(LIGHTNING_MODEL_KEY), held.get("state_dict"))
    if LIGHTNING_AVERAGING_KEY in held and all(isinstance(each, dict) for each in both):
        return LIGHTNING_MODEL_KEY, "lightning"
    return next(((key, form) for key, form in STATE_DICT_KEYS if isinstance(held.get(key), dict)), None)


def _only_model(
    form: Form,
    plain: tuple[str, Form] | None,
    held: Mapping[Any, Any],
    average: str | None,
    asked: Weights | None,
) -> Chosen | None:
    if plain is None:
        return None
    notes = [f"{plain[0]} is taken as asked, not the moving average ({average})"] if average else []
    chosen = _averaged(Chosen(form, plain[0], held[plain[0]], "model", tuple(notes)))
    if chosen.weights == "model" and asked == "ema":
        return Chosen(form, chosen.key, chosen.tensors, problems=_absent("ema", asked))
    return chosen


def _bare(held: Mapping[Any, Any], asked: Weights | None) -> Chosen | None:
    if not held or not all(isinstance(held[key], Tensor) for key in held):
        return None
    chosen = _averaged(Chosen("bare", None, held))
    problems = () if asked is None else _absent(asked, None if chosen.weights == asked else asked)
    return replace(chosen, problems=problems)


def _absent(what: Weights, asked: Weights | None) -> tuple[str, ...]:
    if asked != what:
        return ()
    if what == "model":
        return ("--weights model: the file has the moving average alone; leave it out",)
    return (f"--weights ema: the file has no moving average; looked for {', '.join(EMA_KEYS)}",)


def _averaged(chosen: Chosen) -> Chosen:
    """Take the counter of an AveragedModel off, which is no part of the module that it averages."""
    tensors = chosen.tensors
    count = tensors.get(AVERAGED_KEY)
    others = [name for name in tensors if name != AVERAGED_KEY]
    if not isinstance(count, Tensor) or count.numel() != 1 or not all(_is_wrapped(name) for name in others):
        return chosen
    note = f"weights averaged over {int(count)} steps; the counter {AVERAGED_KEY} is left out"
    rest = {name: tensors[name] for name in others}
    return replace(chosen, tensors=rest, weights="ema", notes=(*chosen.notes, note), updates=int(count))


def _is_wrapped(name: object) -> bool:
    return isinstance(name, str) and name.startswith("module.")


def _holds_tensors(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(item, Tensor) for item in _inside(value).values())


def _inside(average: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the state_dict in what an averaging class saved of itself."""
    return next((average[key] for key in _INSIDE_EMA if isinstance(average.get(key), dict)), average)
