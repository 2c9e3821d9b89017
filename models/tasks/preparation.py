"""Preprocessing that was fitted or composed with other libraries, as data that goes into a task's config.

Nothing of these libraries is imported: an object is known by its class's name and read by its fitted attributes, those
of scikit-learn 1.9 and torchvision 0.28.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from statehouse.models.errors import PreparationError

Config = dict[str, Any]


def features_from_sklearn(transformer: object, names: Sequence[str]) -> list[Config]:
    """Return what a fitted transformer does to the columns `names`, as features of `tabular` or of a signature.

    `transformer` is a StandardScaler, a MinMaxScaler or a OneHotEncoder. Where several have columns of their own, add
    the lists in the order in which the module takes them.

    Raises:
        PreparationError: it is something else, is not fitted, has other columns, or does what a feature cannot say; all
            problems are listed.
    """
    kind = type(transformer).__name__
    readers = {"StandardScaler": _standard, "MinMaxScaler": _min_max, "OneHotEncoder": _one_hot}
    if kind not in readers or not type(transformer).__module__.startswith("sklearn."):
        raise PreparationError(
            f"{kind} cannot be said as features:", [f"expected one of scikit-learn's {', '.join(readers)}"]
        )
    count = getattr(transformer, "n_features_in_", None)
    if count is None:
        raise PreparationError(f"{kind} is not fitted:", ["call its fit() on the rows that you train with"])
    if count != len(names):
        raise PreparationError(
            f"{kind} has other columns:", [f"it was fitted on {count}, and {len(names)} names were given"]
        )
    features, problems = readers[kind](transformer, list(names))
    if problems:
        raise PreparationError(f"{kind} cannot be said as features:", problems)
    return features


def _standard(scaler: Any, names: Sequence[str]) -> tuple[list[Config], list[str]]:  # noqa: ANN401
    means = scaler.mean_ if scaler.with_mean else [0.0] * len(names)  # which it has in both cases
    scales = scaler.scale_ if scaler.with_std else [1.0] * len(names)
    return _numeric(names, means, scales), []


def _min_max(scaler: Any, names: Sequence[str]) -> tuple[list[Config], list[str]]:  # noqa: ANN401
    # It computes value * scale_ + min_, which is (value - mean) / std of these two.
    problems = ["clip=True has no such feature: give each a minimum and a maximum"] if scaler.clip else []
    stds = [1 / float(scale) for scale in scaler.scale_]
    means = [-float(low) * std for low, std in zip(scaler.min_, stds, strict=True)]
    return _numeric(names, means, stds), problems


def _numeric(names: Sequence[str], means: Sequence[Any], stds: Sequence[Any]) -> list[Config]:
    return [
        {"type": "numeric", "name": name, "mean": float(mean), "std": float(std)}
        for name, mean, std in zip(names, means, stds, strict=True)
    ]


def _one_hot(encoder: Any, names: Sequence[str]) -> tuple[list[Config], list[str]]:  # noqa: ANN401
    problems = []
    if encoder.drop_idx_ is not None:
        problems.append("drop leaves a category out; fit it with drop=None")
    if encoder.handle_unknown not in ("error", "ignore"):
        problems.append(f"handle_unknown={encoder.handle_unknown!r} has no such feature; expected 'error'")
    if encoder.handle_unknown == "ignore":
        problems.append(
            "handle_unknown='ignore' answers unknown categories; a feature refuses them: fit with 'error'"
        )
    if encoder.min_frequency is not None or encoder.max_categories is not None:
        problems.append("min_frequency and max_categories join rare categories; a feature has each by itself")
    for name, categories in zip(names, encoder.categories_, strict=True):
        odd = [each for each in categories if not isinstance(each, str)]
        if odd:
            problems.append(
                f"{name}: the category {odd[0]!r} is no text; make the column text before it is fitted"
            )
    features = [
        {"type": "categorical", "name": name, "categories": [str(each) for each in categories]}
        for name, categories in zip(names, encoder.categories_, strict=True)
    ]
    return features, problems


def image_from_torchvision(transforms: object) -> Config:
    """Return what torchvision's transforms make of a PIL image, as fields of `image_classification` or kind `image`.

    `transforms` is a Compose (of either version) or a preset such as `weights.transforms()`. Understood are Resize,
    CenterCrop, Grayscale, ToTensor, PILToTensor, ToImage, ConvertImageDtype and ToDtype to float32, and Normalize, in
    this order; what is random and does nothing while serving has to be left out.

    Raises:
        PreparationError: a step that the config cannot say, or no size; all problems are listed.
    """
    if type(transforms).__name__ == "ImageClassification":
        return _preset(transforms)
    steps = getattr(transforms, "transforms", None)
    if steps is None:
        steps = [transforms]
    found = _Steps()
    for step in steps:
        found.take(step)
    return found.config()


def _preset(preset: Any) -> Config:  # noqa: ANN401 - torchvision's own
    found = _Steps()
    found.resize = list(preset.resize_size)
    found.crop = _pair(preset.crop_size)
    found.interpolation = _interpolation(preset.interpolation)
    found.scaled, found.mean, found.std = True, list(preset.mean), list(preset.std)
    return found.config()


class _Steps:
    """What the steps so far come to."""

    def __init__(self) -> None:
        self.resize: list[int] | None = None
        self.crop: tuple[int, int] | None = None
        self.interpolation: str | None = None
        self.mode = "rgb"
        self.scaled = False
        self.mean: list[float] | None = None
        self.std: list[float] | None = None
        self.problems: list[str] = []

    def take(self, step: Any) -> None:  # noqa: ANN401 - torchvision's own
        """Add a step, or a problem."""
        kind = type(step).__name__
        understood = self._sizes(kind, step) if not self.scaled else self._normalised(kind, step)
        if not understood:
            self.problems.append(f"{step}: no field says this step here")

    def _sizes(self, kind: str, step: Any) -> bool:  # noqa: ANN401
        """Take a step that comes before the pixels are scaled."""
        if kind == "Resize" and self.crop is None and self.resize is None:
            self.resize = [step.size] if isinstance(step.size, int) else list(step.size)
            self.interpolation = _interpolation(step.interpolation)
            if getattr(step, "max_size", None) is not None:
                self.problems.append("Resize(max_size=…) has no field; leave max_size out")
        elif kind == "CenterCrop":
            self.crop = _pair(step.size)
        elif kind == "Grayscale" and step.num_output_channels == 1:
            self.mode = "greyscale"
        elif kind == "ToTensor" or _is_float32(step):
            self.scaled = True
        else:
            return kind in ("PILToTensor", "ToImage")
        return True

    def _normalised(self, kind: str, step: Any) -> bool:  # noqa: ANN401
        if kind != "Normalize" or self.mean is not None:
            return False
        self.mean, self.std = [float(value) for value in step.mean], [float(value) for value in step.std]
        return True

    def config(self) -> Config:
        """Return the fields; raises PreparationError."""
        if not self.scaled:
            self.problems.append(
                "the pixels stay from 0 to 255; expected ToTensor or ToDtype(torch.float32, scale=True)"
            )
        size = self.crop
        if self.resize is not None and len(self.resize) == 2:
            if self.crop is not None and tuple(self.resize) != self.crop:
                self.problems.append(
                    "Resize to a height and a width, then a crop, has no field; resize the shortest side"
                )
            size, self.resize = (self.resize[0], self.resize[1]), None
        if size is None:
            self.problems.append("images stay of any size; expected Resize((height, width)) or CenterCrop")
        elif self.resize is None and self.interpolation is None:
            self.problems.append("CenterCrop alone fills up small images; expected Resize before it")
        if self.interpolation not in (None, "bilinear", "bicubic"):
            self.problems.append(f"interpolation {self.interpolation}; expected bilinear or bicubic")
        if self.problems or size is None:
            raise PreparationError("these transforms cannot be said as an image's fields:", self.problems)
        channels = 1 if self.mode == "greyscale" else 3
        config: Config = {"height": size[0], "width": size[1], "mode": self.mode}
        config |= {"resize": self.resize[0]} if self.resize else {}
        config |= {"interpolation": self.interpolation} if self.interpolation == "bicubic" else {}
        return config | {"mean": self.mean or [0.0] * channels, "std": self.std or [1.0] * channels}


def _pair(size: Any) -> tuple[int, int]:  # noqa: ANN401
    sizes = [size] if isinstance(size, int) else list(size)
    return (sizes[0], sizes[-1])


def _interpolation(mode: Any) -> str:  # noqa: ANN401 - an enum of torchvision's
    return str(getattr(mode, "value", mode))


def _is_float32(step: Any) -> bool:  # noqa: ANN401
    """Whether a step makes numbers from 0 to 1 of the pixels."""
    kind = type(step).__name__
    scales = kind == "ConvertImageDtype" or (kind == "ToDtype" and step.scale)
    return scales and str(step.dtype) == "torch.float32"
