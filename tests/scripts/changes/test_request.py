"""What a command sends to ask for a change, checked when it arrives."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from statehouse.scripts.changes.canary import AllowedWorsening
from statehouse.scripts.changes.request import ChangeRequest
from statehouse.scripts.changes.shadow import ShadowOptions
from statehouse.scripts.changes.swap import SwapOptions
from statehouse.scripts.validation import problems_of

WHO = {"user": "me", "host": "here"}


def test_what_is_not_said_is_as_usual():
    request = ChangeRequest(**WHO)
    assert (request.name, request.version, request.wait, request.settings) == ("", "", True, None)
    assert request.swap_options() == SwapOptions()
    assert request.shadow_options() is None


def test_a_swap_goes_as_it_was_asked_to():
    request = ChangeRequest(
        **WHO,
        retire=True,
        replace=True,
        drain_seconds=1,
        watch_seconds=2,
        canary_shares=(0.1, 0.5),
        canary_step_seconds=3,
        shadow="goldens",
        shadow_tolerance=0.2,
        fail_below=0.9,
        max_error_increase=0.3,
        max_latency_ratio=4,
    )
    assert request.swap_options() == SwapOptions(
        retire=True,
        replace=True,
        drain_seconds=1,
        watch_seconds=2,
        canary_shares=(0.1, 0.5),
        canary_step_seconds=3,
        worsening=AllowedWorsening(0.3, 4),
        shadow=ShadowOptions("goldens", 0.2, 0.9),
    )


def test_settings_are_read_as_the_deployment_has_them():
    request = ChangeRequest.model_validate_json(
        '{"user": "me", "host": "here", "name": "net", "version": "1.10", "settings": {"workers": 2}}'
    )
    assert request.version == "1.10"
    assert request.settings.workers == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "../net"}, {"version": "a/b"}, {"workers": 0}, {"workers": 257}, {"drain_seconds": -1},
        {"watch_seconds": -1}, {"canary_step_seconds": 0}, {"shadow_tolerance": -1}, {"fail_below": 1.1},
        {"max_error_increase": -0.1}, {"max_latency_ratio": 0.9}, {"settings": {"batch_size": 0}}, {"more": 1},
        {"user": None},
    ],
)  # fmt: skip
def test_what_no_change_can_be_is_refused(wrong):
    with pytest.raises(ValidationError) as caught:
        ChangeRequest(**WHO | wrong)
    assert caught.value.errors()[0]["loc"][0] == next(iter(wrong))


def test_a_name_that_no_model_has_is_one_problem_in_plain_words():
    with pytest.raises(ValidationError) as caught:
        ChangeRequest(**WHO, version="../../x")
    [problem] = problems_of(caught.value)
    assert problem.startswith("version: '../../x' cannot be a version: use a version number such as '1.0'")
