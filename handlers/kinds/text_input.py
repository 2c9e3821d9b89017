"""Kind `text` of inputs: a text to token ids, by the tokenizer that the checkpoint carries."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from statehouse.handlers.bodies.content import TEXT_TYPE
from statehouse.handlers.bodies.json_body import decode_text
from statehouse.handlers.images.decode import PixelBudget
from statehouse.handlers.kinds.contract import Filling, Json, NamedInput
from statehouse.handlers.request import Body
from statehouse.handlers.text.encoder import PADDING, TextEncoder
from statehouse.models.tasks.input_kinds import TextInput
from statehouse.models.tasks.kinds import Arrays
from statehouse.models.tasks.text import TextTask

_SHARED = ("tokenizer", "max_tokens", "too_long", "max_characters", "pad_token_id")  # with tasks of texts


class NamedText(NamedInput):
    """Arrays are the ids (tokens,) and ones where they are; texts of unequal lengths are filled up together."""

    config: TextInput
    media_types = (TEXT_TYPE,)

    def __init__(self, name: str, config: TextInput) -> None:
        super().__init__(name, config)
        task = TextTask(**{field: getattr(config, field) for field in _SHARED})
        self.encoder = TextEncoder(task)
        self.fillings = {config.ids: Filling((0,), config.pad_token_id)}
        if config.mask is not None:
            self.fillings[config.mask] = Filling((0,))

    @property
    def arguments(self) -> tuple[str, ...]:
        """The ids, and what tells them from filling."""
        return (self.config.ids, *filter(None, [self.config.mask]))

    def from_json(self, value: object, budget: PixelBudget) -> Arrays:
        """From a text."""
        row = self.encoder.row(value)
        ids = row[row != PADDING].astype(np.int64)
        arrays = {self.config.ids: ids}
        return arrays if self.config.mask is None else arrays | {self.config.mask: np.ones_like(ids)}

    def from_bytes(self, body: Body, content_type: str, budget: PixelBudget) -> Arrays:
        """From JSON, or from the text itself, in UTF-8."""
        return super().from_bytes(body, content_type or TEXT_TYPE, budget)

    def from_elements(self, elements: Mapping[str, Any], budget: PixelBudget) -> Arrays:
        """From an element of the tensor."""
        element = elements[""]
        return self.from_json(decode_text(element) if isinstance(element, bytes) else element, budget)

    def schema(self) -> Json:
        """A text."""
        return self.encoder.form.schema()

    def example(self, seed: int, sizes: dict[str, int]) -> Any:  # noqa: ANN401
        """A sentence."""
        return self.encoder.make_value(seed)
