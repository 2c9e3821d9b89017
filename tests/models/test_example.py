from __future__ import annotations

import pytest

from statehouse.models.example import Example


def test_plain_data_and_back():
    example = Example(content_type="image/png", body=bytes(range(256)), response={"label": "7", "score": 0.5})
    plain = example.to_plain()
    assert set(plain) == {"content_type", "body_base64", "response"}
    assert Example.from_plain(plain) == example


@pytest.mark.parametrize(
    "change", [{"body_base64": "no base64!"}, {"body_base64": ""}, {"more": 1}, {"response": [1]}]
)
def test_anything_else_is_a_value_error(change):
    plain = Example(content_type="text/plain", body=b"x").to_plain()
    with pytest.raises(ValueError):
        Example.from_plain({**plain, **change})
