from __future__ import annotations

import pytest
import torch

from statehouse.models import load_checkpoint
from statehouse.models.errors import CheckpointContentError
from statehouse.models.foreign import renaming as renaming_module
from statehouse.models.foreign.renaming import rename

NAMES = ["encoder.0.weight", "encoder.0.bias", "head.weight", "loss.scale"]


def test_rules_are_applied_in_turn_and_counted():
    renaming, problems = rename(NAMES, [r"encoder\.(.*)=backbone.\1", r"(.*)\.0\.(.*)=\1.first.\2"])
    assert problems == []
    assert renaming.names == {
        "encoder.0.weight": "backbone.first.weight",
        "encoder.0.bias": "backbone.first.bias",
    }
    assert list(renaming.matched.values()) == [2, 2]


def test_a_whole_name_must_match_and_an_equals_sign_may_stand_in_the_pattern():
    assert rename(NAMES, ["head=top"])[1] == ["--rename head=top: matches no name"]
    renaming, problems = rename(NAMES, [r"(?=head)(.*)=my.\1"])
    assert (renaming.names, problems) == ({"head.weight": "my.head.weight"}, [])


def test_an_empty_replacement_leaves_a_tensor_out():
    renaming, problems = rename(NAMES, [r"loss\..*="])
    assert (renaming.names, problems) == ({"loss.scale": None}, [])
    assert list(renaming.apply(dict.fromkeys(NAMES))) == NAMES[:3]


def test_every_problem_at_once():
    _, problems = rename(
        NAMES, [r"encoder\.0\..*=same", "nothing=other", "(=x", r"head.*=\3", r"loss.*=same"]
    )
    assert len(problems) == 4
    assert "--rename nothing=other: matches no name" in problems
    assert (
        "--rename: 3 tensors would be called 'same': encoder.0.weight, encoder.0.bias, loss.scale" in problems
    )
    assert any(problem.startswith("--rename (=x: ") for problem in problems)
    assert any(problem.startswith(r"--rename head.*=\3: ") for problem in problems)
    assert rename(NAMES, ["no rule"])[1][0].startswith(
        "--rename no rule: is no rule; expected PATTERN=REPLACEMENT"
    )


def test_an_expression_that_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr(renaming_module, "TIMEOUT_SECONDS", 0.5)
    _, problems = rename(["a" * 64 + "!"], ["(a+)+=x"])
    assert len(problems) == 1
    assert "took over" in problems[0]


def test_rules_that_double_a_name_are_bounded():
    _, problems = rename(["abcd"], [r"(.*)=\1\1\1\1"] * 16)
    assert "makes a name of" in problems[0]


def test_a_checkpoint_is_read_by_its_new_names(simple_net, simple_net_config, tmp_path):
    state = {f"old.{name}": tensor for name, tensor in simple_net.state_dict().items()}
    torch.save(state | {"extra": torch.zeros(1)}, tmp_path / "old.pt")
    rules = [r"old\.(.*)=\1", "extra="]
    about = {"architecture": "simple_net", "config": simple_net_config}
    checkpoint = load_checkpoint(tmp_path / "old.pt", rename=rules, **about)
    row = torch.randn(2, 4)
    assert torch.equal(checkpoint.build()(row), simple_net(row))
    assert checkpoint.header.renaming.names["extra"] is None


def test_wrong_rules_are_told_with_what_else_is_wrong(simple_net, tmp_path):
    torch.save(simple_net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(CheckpointContentError) as caught:
        load_checkpoint(
            tmp_path / "net.pt", rename=["x=y"], architecture="simple_net", config={"input_size": 9}
        )
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "--rename x=y",
        "model_config.input_size",
    ]
