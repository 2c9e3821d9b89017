"""Kind `features` of inputs: named numbers and categories, one vector."""

from collections.abc import Mapping
from typing import Any

from statehouse.handlers.bodies.json_body import decode_text
from statehouse.handlers.features.forms import feature_schema, feature_tensors, made_row
from statehouse.handlers.features.table import FeatureTable
from statehouse.handlers.images.decode import PixelBudget
from statehouse.handlers.kinds.contract import Json, NamedInput
from statehouse.models.tasks.input_kinds import FeaturesInput
from statehouse.models.tasks.kinds import Arrays


class NamedFeatures(NamedInput):
    """Arrays are columns in float64: numbers standardised, categories one-hot."""

    config: FeaturesInput

    def __init__(self, name: str, config: FeaturesInput) -> None:
        super().__init__(name, config)
        self.table = FeatureTable(config)

    def from_json(self, value: object, budget: PixelBudget) -> Arrays:
        """From an object, feature to value."""
        return {self.name: self.table.standardise(self.table.read(value))}

    def from_elements(self, elements: Mapping[str, Any], budget: PixelBudget) -> Arrays:
        """From one tensor per feature."""
        return self.from_json({suffix[1:]: _plain(element) for suffix, element in elements.items()}, budget)

    def tensors(self) -> dict[str, tuple[str, list[int]]]:
        """One per feature: `patient.age`."""
        return {f".{each['name']}": (each["datatype"], []) for each in feature_tensors(self.table.features)}

    def schema(self) -> Json:
        """An object with every feature."""
        return feature_schema(self.table.features)

    def example(self, seed: int, sizes: dict[str, int]) -> Any:  # noqa: ANN401
        """Values as the features' means, deviations and categories suggest."""
        return made_row(self.table.features, seed)


def _plain(element: Any) -> object:  # noqa: ANN401 - of an array, or of a list of texts
    if isinstance(element, bytes):
        return decode_text(element)
    return element.item() if hasattr(element, "item") else element
