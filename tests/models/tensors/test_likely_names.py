from __future__ import annotations

from statehouse.models.tensors import likely_names
from statehouse.models.tensors.likely_names import likely_renamings
from statehouse.models.tensors.tensor_info import TensorInfo

WEIGHT, BIAS = TensorInfo("float32", (3, 4)), TensorInfo("float32", (3,))


def test_a_name_inside_another_is_the_likeliest():
    missing = {"fc1.weight": WEIGHT, "fc2.weight": WEIGHT}
    unexpected = {"model.fc2.weight": WEIGHT, "model.fc1.weight": WEIGHT}
    assert likely_renamings(missing, unexpected) == {
        "model.fc2.weight": "fc2.weight",
        "model.fc1.weight": "fc1.weight",
    }


def test_similar_names_of_equal_shape():
    missing = {"encoder.weight": WEIGHT, "encoder.bias": BIAS}
    unexpected = {"encoder_.weight": WEIGHT, "encoder_.bias": BIAS}
    assert likely_renamings(missing, unexpected) == {
        "encoder_.weight": "encoder.weight",
        "encoder_.bias": "encoder.bias",
    }


def test_no_guess_across_shapes_kinds_or_unlike_names():
    assert likely_renamings({"fc1.weight": WEIGHT}, {"fc1.w.weight": BIAS}) == {}
    assert likely_renamings({"norm.weight": BIAS}, {"norm.bias": BIAS}) == {}
    assert likely_renamings({"decoder.weight": WEIGHT}, {"xyz.weight": WEIGHT}) == {}


def test_each_name_is_used_once():
    assert len(likely_renamings({"a.weight": WEIGHT}, {"x.a.weight": WEIGHT, "y.a.weight": WEIGHT})) == 1


def test_thousands_of_equal_shapes_are_not_all_compared(monkeypatch):
    compared = []
    monkeypatch.setattr(likely_names, "_similarity", lambda old, new: compared.append(old) or 1.0)
    missing = {f"layers.{index}.weight": WEIGHT for index in range(2000)}
    renamings = likely_renamings(missing, {f"model.{name}": info for name, info in missing.items()})
    assert renamings == {f"model.{name}": name for name in missing}
    likely_renamings(missing, {f"other.{name}.weight": info for name, info in missing.items()})
    assert len(compared) <= len(missing) * (1 + likely_names.MAX_CANDIDATES)
