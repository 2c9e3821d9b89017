"""Golden requests to a version's own URL, answered by a front that is a function."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest

from statehouse.handlers.golden import Golden, write_golden
from statehouse.handlers.request import UNCOUNTED_HEADER
from statehouse.models.example import Example
from statehouse.scripts.changes.verify import _tolerance, send_golden_requests
from statehouse.scripts.deployment.file import VersionSettings
from statehouse.scripts.errors import GoldenRequestError
from statehouse.scripts.supervisor.loaded_version import LoadedVersion


@pytest.fixture
def loaded(tmp_path):
    """A version with two golden examples, whose answers are 1 and 2."""
    examples = [
        Example(content_type="application/json", body=b"[%d]" % number, response={"value": float(number)})
        for number in (1, 2)
    ]
    write_golden(tmp_path / "golden.json", Golden(source="made", examples=examples))
    published = SimpleNamespace(
        golden_path=tmp_path / "golden.json", manifest=SimpleNamespace(dtypes=["float32"])
    )
    return LoadedVersion("net", "1.1", VersionSettings(), published=published)


def answers(request):
    [number] = json.loads(request.content)
    return httpx.Response(200, json={"value": float(number)}, headers={"x-model-version": "1.1"})


def send(loaded, answer=answers):
    seen = []

    def handle(request):
        seen.append(request)
        return answer(request)

    def own_client(*, timeout_seconds):
        return httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url="http://front")

    front = SimpleNamespace(own_client=own_client, uncounted_secret="a secret")
    return asyncio.run(send_golden_requests(front, loaded)), seen


def problems(loaded, answer):
    with pytest.raises(GoldenRequestError) as caught:
        send(loaded, answer)
    header, *found = str(caught.value).split("\n  - ")
    assert header == "net 1.1 answers otherwise by its URL:"
    return found


def test_each_is_sent_to_the_version_s_own_url_and_not_counted(loaded):
    count, seen = send(loaded)
    assert count == len(seen) == 2
    for request, body in zip(seen, (b"[1]", b"[2]"), strict=True):
        assert (request.method, request.url.path, request.content) == ("POST", "/predictions/net/1.1", body)
        assert request.headers["content-type"] == "application/json"
        assert request.headers[UNCOUNTED_HEADER] == "a secret"


def test_every_difference_is_told(loaded):
    wrong = {"x-model-version": "1.1"}
    assert problems(loaded, lambda request: httpx.Response(200, json={"value": 1.5}, headers=wrong)) == [
        "example 0: $.value: expected 1.0 ± 0.0001, got 1.5",
        "example 1: $.value: expected 2.0 ± 0.0001, got 1.5",
    ]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(503, text="busy"), "status 503, busy"),
        (httpx.Response(200, json={}, headers={"x-model-version": "1.0"}), "answered by version 1.0"),
        (httpx.Response(200, json={}), "answered by version None"),
        (httpx.Response(200, text="<html>", headers={"x-model-version": "1.1"}), "no JSON, '<html>'"),
    ],
)
def test_another_s_answer_or_none_is_told(loaded, answer, told):
    assert problems(loaded, lambda request: answer) == [f"example 0: $: {told}", f"example 1: $: {told}"]


def test_a_connection_that_is_lost_keeps_the_others_from_nothing(loaded):
    def answer(request):
        if request.content == b"[1]":
            raise httpx.ReadError("gone")
        return answers(request)

    assert problems(loaded, answer) == ["example 0: no answer, ReadError('gone')"]


def test_what_is_not_loaded_has_no_answers():
    with pytest.raises(GoldenRequestError, match=r"^net 1\.1 is not loaded\.$"):
        send(LoadedVersion("net", "1.1", VersionSettings()))


def test_answers_in_bfloat16_are_as_near_as_those_can_be(loaded):
    near = {"x-model-version": "1.1"}

    def answer(request):
        return httpx.Response(200, json={"value": json.loads(request.content)[0] * 1.01}, headers=near)

    assert len(problems(loaded, answer)) == 2
    loaded.settings = VersionSettings(optimizations=("bfloat16",))
    assert send(loaded, answer)[0] == 2


def test_of_several_tolerances_the_widest_counts():
    known = {"cpu/float32": 0.1, "cpu/float16": 0.2, "cuda/float32": 0.3}
    assert _tolerance(known, "cpu", ["float32", "float16"]) == 0.2
    assert _tolerance(known, "cuda", ["float16", "float32"]) == 0.3
    assert _tolerance(known, "cuda", ["int8"]) == 1e-4
