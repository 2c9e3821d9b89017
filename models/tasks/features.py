"""Named features of a row: numbers and categories."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from statehouse.models.tasks.config import Label, PlainConfig, Positive, refuse, repeated


class NumericFeature(PlainConfig):
    """A number, standardised as `(value - mean) / std`; values outside the bounds are refused."""

    type: Literal["numeric"] = "numeric"
    name: Label
    mean: float = 0.0
    std: Positive = 1.0
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> NumericFeature:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            return refuse(self, [f"minimum {self.minimum} is above maximum {self.maximum}"])
        return self


class CategoricalFeature(PlainConfig):
    """One of `categories`, given to the module one-hot in their order."""

    type: Literal["categorical"] = "categorical"
    name: Label
    categories: list[Label] = Field(min_length=1)

    @model_validator(mode="after")
    def _categories_differ(self) -> CategoricalFeature:
        return refuse(self, repeated("categories", self.categories))


Feature = Annotated[NumericFeature | CategoricalFeature, Field(discriminator="type")]
