"""A golden example: a stored request, and the response that it must give."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Example(BaseModel):
    """One request body as a client would send it; without a `response`, publishing computes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    content_type: str = Field(min_length=1)
    body: bytes = Field(min_length=1)
    response: dict[str, JsonValue] | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return plain data, the body as standard base64 under `body_base64`."""
        body_base64 = base64.b64encode(self.body).decode("ascii")
        return {"content_type": self.content_type, "body_base64": body_base64, "response": self.response}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Example:
        """Read what `to_plain` wrote; raises ValueError for anything else."""
        return StoredExample.model_validate(plain).decode()


class StoredExample(BaseModel):
    """An example as plain data, the same in every container."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    content_type: str = Field(min_length=1)
    body_base64: str = Field(min_length=1)
    response: dict[str, JsonValue] | None = None

    def decode(self) -> Example:
        """Return the example itself; raises ValueError unless the body is standard base64."""
        body = base64.b64decode(self.body_base64, validate=True)
        return Example(content_type=self.content_type, body=body, response=self.response)
