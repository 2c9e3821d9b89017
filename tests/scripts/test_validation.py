import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from statehouse.scripts.validation import dotted, problems_of


class Example(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int
    name: str = "x"

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 3:
            raise ValueError(f"{name!r} is longer than 3 characters.")
        return name


def problems(data):
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(data)
    return problems_of(caught.value)


def test_each_problem_says_where_what_and_what_was_expected():
    assert problems({"count": "many", "name": "long", "size": 1}) == [
        "count: Input should be a valid integer, unable to parse string as an integer (found 'many').",
        "name: 'long' is longer than 3 characters.",
        "size: there is no such setting.",
    ]
    assert problems({}) == ["count: Field required."]


def test_long_values_are_shortened():
    [problem] = problems({"count": "9" * 3 + "a" * 1000})
    assert len(problem) < 200


def test_locations_read_like_code():
    assert (
        dotted(("models", "my-net", "versions", "1.0", "workers"))
        == "models['my-net'].versions['1.0'].workers"
    )
    assert dotted(("architectures", 0)) == "architectures[0]"
    assert dotted(("models", "a b", "[key]")) == "models['a b'] (the key)"
