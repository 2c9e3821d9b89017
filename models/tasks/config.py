"""What the configs of all tasks share; the configs themselves are in task.py and in the files that it imports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from statehouse.models.errors import TaskConfigError
from statehouse.models.plain import validation_problems

Label = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
Config = TypeVar("Config")
# What a classifier's outputs are. None of these said: logits. `values` are told as they are, whatever their range.
Meaning = Literal["logits", "probabilities", "log_probabilities", "values"]


class PlainConfig(BaseModel):
    """What tasks and their parts share: no unknown fields, no NaN, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def __init__(self, **fields: object) -> None:
        """Check the fields; raises TaskConfigError, which lists every one that is wrong."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            kind = type(self)
            raise TaskConfigError(
                f"{kind.__name__} does not fit:", validation_problems(error, kind)
            ) from None

    # Only who calls the class comes by here: pydantic itself, which gathers the problems of all the parts of
    # a config, validates without __init__ where __init__ says that it is pydantic's own.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class TaskConfig(PlainConfig):
    """What all task configs share.

    With ``rows_per_batch`` 1 the module computes each row alone: for those in which rows of a batch have a part in each
    other's answers. ``later_fields`` came after version 0.1.0: they are in the digest only where they are not as usual.
    """

    later_fields: ClassVar[tuple[str, ...]] = ("rows_per_batch",)

    rows_per_batch: Literal[1] | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return the config as plain data, without the task's name (kept beside it) and later fields' defaults."""
        plain = self.model_dump(mode="json", exclude={"task"})
        for name in self.later_fields:
            if getattr(self, name) == type(self).model_fields[name].get_default(call_default_factory=True):
                del plain[name]
        return plain

    def to_facts(self) -> dict[str, Any]:
        """Return what to tell people of the config: `to_plain`, short."""
        return self.to_plain()


def repeated(field: str, values: Iterable[str]) -> list[str]:
    """Return the problem that some of `values` are there more than once, if they are."""
    twice = [value for value, count in Counter(values).items() if count > 1]
    return [f"{field} must differ from each other; repeated: {', '.join(twice)}"] if twice else []


def refuse(config: Config, problems: list[str]) -> Config:
    """Return `config`, or raise the ValueError that pydantic makes one problem of."""
    if problems:
        raise ValueError("; ".join(problems))
    return config
