"""What every part of ``deployment.yaml`` has in common: no setting that there is not; empty means the defaults."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A part of the file; one that is left empty means its defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_values_mean_defaults(cls, data: Any) -> Any:  # noqa: ANN401 - before validation it is anything
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}
