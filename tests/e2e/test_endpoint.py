"""From a checkpoint to an answer over HTTP: the same answers as the module's own, on all held-out data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from examples import train_breast_cancer, train_digits
from tests.e2e.conftest import CONFIGS
from tests.e2e.server import Server

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.request import Request
from statehouse.models.architecture_import import import_architectures
from statehouse.models.checkpoint import load_checkpoint

TOLERANCE = 1e-5
PNG_SIGNATURE = b"\x89PNG"


def post(server: Server, path: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.client.post(path, content=content, headers=headers)


def test_digits_over_http_are_as_right_as_in_pytorch(server: Server, trained: Path) -> None:
    checkpoint = load_checkpoint(trained / "digits.pt")
    split = train_digits.load_split()
    images = train_digits.to_tensor(split.test_pixels, checkpoint.header.task)
    with torch.inference_mode():
        expected = checkpoint.build()(images).softmax(dim=1)
    answers = [
        post(server, "/predictions/digits", train_digits.to_png(pixels)).json()
        for pixels in split.test_pixels
    ]
    scores = torch.tensor([answer["score"] for answer in answers])
    assert torch.allclose(scores, expected.max(dim=1).values, atol=TOLERANCE)
    assert [answer["label"] for answer in answers] == [str(int(label)) for label in expected.argmax(dim=1)]
    accuracy = np.mean(
        [answer["label"] == str(label) for answer, label in zip(answers, split.test_labels, strict=True)]
    )
    assert accuracy == pytest.approx(float((expected.argmax(1).numpy() == split.test_labels).mean()))
    assert accuracy >= 0.98


def test_breast_cancer_over_http_is_as_right_as_in_pytorch(server: Server, trained: Path) -> None:
    checkpoint = load_checkpoint(trained / "breast_cancer.safetensors")
    split = train_breast_cancer.load_split()
    body = {"instances": [split.row_as_object(row) for row in split.test_rows]}
    predictions = post(server, "/predictions/breast_cancer", body).json()["predictions"]
    labels = [split.labels[target] for target in split.test_targets]
    right = [answer["label"] == label for answer, label in zip(predictions, labels, strict=True)]
    assert np.mean(right) >= 0.95
    assert np.mean(right) == pytest.approx(checkpoint.header.metadata["test_accuracy"])


@pytest.mark.parametrize("name", sorted(CONFIGS))
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_every_architecture_answers_what_its_module_answers(
    server: Server, architecture_files: dict[str, dict[str, Path]], name: str, version: str
) -> None:
    checkpoint = load_checkpoint(architecture_files[name][version])
    shape = server.reader.get(f"/models/{name}/{version}").json()["inputs"][0]["shape"][1:]
    inputs = torch.randn((7, *shape), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = checkpoint.build()(inputs)
    several = post(server, f"/predictions/{name}/{version}", {"instances": inputs.tolist()})
    assert several.headers["x-model-version"] == version
    assert several.headers["x-model-digest"] == checkpoint.digest()
    answered = torch.tensor([row["outputs"] for row in several.json()["predictions"]])
    assert torch.allclose(answered, expected, atol=TOLERANCE)
    one = post(server, f"/predictions/{name}/{version}", {"inputs": inputs[0].tolist()}).json()
    raw = post(
        server,
        f"/predictions/{name}/{version}",
        inputs[0].numpy().astype("<f4").tobytes(),
        **{"content-type": "application/octet-stream"},
    ).json()
    for answer in (one, raw):
        assert torch.allclose(torch.tensor(answer["outputs"]), expected[0], atol=TOLERANCE)


def test_both_containers_of_one_model_have_one_digest(server: Server) -> None:
    for name in CONFIGS:
        versions = server.reader.get(f"/models/{name}").json()["versions"]
        assert len({version["digest"] for version in versions}) == 1


def test_a_network_of_ones_own_is_served(
    server: Server, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(server.folder)
    import_architectures(["my_nets"])
    checkpoint = load_checkpoint(trained / "diabetes.pt")
    example = checkpoint.header.examples[0]
    handler = CheckpointHandler.from_checkpoint(checkpoint)
    expected = handler.answer([Request(example.body, example.content_type)])[0]
    answer = post(server, "/predictions/diabetes", example.body)
    assert answer.json()["value"] == pytest.approx(json.loads(expected.body)["value"], abs=TOLERANCE)


class TestFormsOfARequest:
    @pytest.fixture(scope="class")
    @staticmethod
    def png() -> bytes:
        return train_digits.to_png(train_digits.load_split().test_pixels[0])

    @pytest.fixture(scope="class")
    @staticmethod
    def expected(server: Server, png: bytes) -> dict[str, Any]:
        return post(server, "/predictions/digits", png).json()

    def test_one_row_answers_one_object(self, expected: dict[str, Any]) -> None:
        assert expected.keys() == {"label", "score", "top_k"}
        assert expected["top_k"][0] == {"label": expected["label"], "score": expected["score"]}

    def test_a_multipart_upload(self, server: Server, png: bytes, expected: dict[str, Any]) -> None:
        answer = server.client.post("/predictions/digits", files={"image": ("digit.png", png, "image/png")})
        assert answer.json() == expected

    @pytest.mark.parametrize(
        "content_type", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded"]
    )
    def test_an_image_by_its_bytes_whatever_it_is_called(
        self, server: Server, png: bytes, expected: dict[str, Any], content_type: str
    ) -> None:
        assert post(server, "/predictions/digits", png, **{"content-type": content_type}).json() == expected

    def test_put_as_curl_uploads(self, server: Server, png: bytes, expected: dict[str, Any]) -> None:
        assert server.client.put("/predictions/digits", content=png).json() == expected

    def test_kserve_v1(self, server: Server, png: bytes, expected: dict[str, Any]) -> None:
        import base64

        row = {"b64": base64.b64encode(png).decode()}
        answer = post(server, "/v1/models/digits:predict", {"instances": [row, row]})
        for prediction in answer.json()["predictions"]:
            assert prediction["label"] == expected["label"]
            assert prediction["score"] == pytest.approx(expected["score"], abs=TOLERANCE)
        assert len(answer.json()["predictions"]) == 2

    def test_a_large_body_that_asks_first(self, server: Server) -> None:
        """curl says Expect: 100-continue over 1 MB."""
        inputs = np.zeros((10_000, 6)).tolist()
        answer = post(server, "/predictions/simple_net", {"instances": inputs}, expect="100-continue")
        assert len(answer.json()["predictions"]) == 10_000


def test_tritonclient_works_unchanged(server: Server, architecture_files: dict[str, dict[str, Path]]) -> None:
    import tritonclient.http as triton

    with triton.InferenceServerClient(server.announced["front"].removeprefix("http://")) as client:
        assert_it_answers(client, architecture_files["simple_net"]["1.0"])


def assert_it_answers(client: Any, checkpoint: Path) -> None:
    import tritonclient.http as triton

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("simple_net")
    assert client.is_model_ready("simple_net", "2.0")
    metadata = client.get_model_metadata("simple_net")
    assert metadata["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 6]}]
    module = load_checkpoint(checkpoint).build()
    rows = torch.randn(3, 6)
    with torch.inference_mode():
        expected = module(rows).numpy()
    for binary in (True, False):
        given = triton.InferInput("input", [3, 6], "FP32")
        given.set_data_from_numpy(rows.numpy(), binary_data=binary)
        wanted = [triton.InferRequestedOutput("output", binary_data=binary)]
        result = client.infer("simple_net", [given], outputs=wanted, request_id="42")
        assert np.allclose(result.as_numpy("output"), expected, atol=TOLERANCE)
        assert result.get_response()["id"] == "42"
        assert result.get_response()["model_version"] == "1.0"
    wrong = triton.InferInput("input", [1, 5], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 5), np.float32))
    with pytest.raises(triton.InferenceServerException, match="5"):
        client.infer("simple_net", [wrong])


def test_grpc_gives_the_same_bytes_and_needs_the_token(server: Server) -> None:
    import grpc
    from tests.e2e.torchserve_grpc import predict

    address = server.status()["grpc"]
    token = server.run("token").stdout.strip()
    body = json.dumps({"inputs": [0.5] * 6}).encode()
    assert (
        predict(address, "simple_net", body, token=token)
        == post(server, "/predictions/simple_net", body).content
    )
    wrong = predict(address, "simple_net", b'{"inputs": [1]}', token=token)
    assert json.loads(wrong)["status"] == 422
    for bad_token in (None, "x" * 8):
        with pytest.raises(grpc.RpcError):
            predict(address, "simple_net", body, token=bad_token)


class TestReader:
    def test_ready(self, server: Server) -> None:
        answer = server.reader.get("/ready")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "missing": []})
        assert server.client.get("/ping").json() == {"status": "Healthy"}

    def test_a_version_is_described(self, server: Server) -> None:
        described = server.reader.get("/models/breast_cancer/1.0").json()
        for key in ("architecture", "config", "parameter_count", "digest", "device", "labels", "metadata"):
            assert described[key]
        assert described["input_schema"]["type"] == "object"
        assert "label" in described["output_schema"]["properties"]

    def test_its_paths_are_listed_and_an_unknown_one_is_told_them(self, server: Server) -> None:
        index = server.reader.get("/").json()
        assert index["predictions"] == f"{server.announced['front']}/predictions/NAME"
        for path in index["paths"]:
            found = server.reader.get(path.replace("NAME", "digits").replace("VERSION", "1.0"))
            assert found.status_code == 200, path
        answer = server.reader.get("/model")
        assert (answer.status_code, answer.json()["title"]) == (404, "No such path")
        told = answer.json()["error"]
        assert told.startswith("/model is no path of this server. There are: ")
        assert "/ready, /metrics, /models" in told
        assert f"{server.announced['reader']}/" in server.client.get("/metrics").json()["detail"]

    def test_unknown_models_are_404(self, server: Server) -> None:
        answer = server.reader.get("/models/nope")
        assert (answer.status_code, answer.json()["title"]) == (404, "No such model")
        assert server.client.get("/v2/models/digits/versions/9/ready").status_code == 404

    def test_metrics_count_what_was_answered_and_nothing_else(self, server: Server) -> None:
        def count(status: int) -> float:
            wanted = re.compile(
                rf'statehouse_requests_total{{model="mlp",problem="[a-z-]*",status="{status}",version="2.0"}} (.*)'
            )
            return sum(map(float, wanted.findall(server.reader.get("/metrics").text)))

        before = count(200), count(422)
        for _ in range(5):
            assert post(server, "/predictions/mlp/2.0", {"inputs": [0.0] * 6}).status_code == 200
        assert post(server, "/predictions/mlp/2.0", {"inputs": [0.0]}).status_code == 422
        assert (count(200), count(422)) == (before[0] + 5, before[1] + 1)
        text = server.reader.get("/metrics").text
        for phase in ("decode", "preprocess", "inference", "postprocess", "total"):
            assert (
                f'statehouse_request_duration_seconds_bucket{{le="0.0001",model="mlp",phase="{phase}"' in text
            )
        assert 'statehouse_rows_in_flight{model="mlp",version="2.0"} 0.0' in text


def test_status_lists_every_version_with_its_digest(server: Server) -> None:
    status = server.status()
    assert status["ready"] is True
    rows = {(row["name"], row["version"]): row for row in status["models"]}
    assert len(rows) == 3 + 2 * len(CONFIGS)
    assert all(row["state"] == "READY" and len(row["digest"]) == 64 for row in rows.values())
    assert "digits" in server.run("status").stdout


def test_predict_from_the_command_line(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "digit.png"
    file.write_bytes(train_digits.to_png(train_digits.load_split().test_pixels[3]))
    answer = json.loads(server.run("predict", "digits", str(file)).stdout)
    assert answer["label"] == str(train_digits.load_split().test_labels[3])
    refused = server.run("predict", "digits", '{"inputs": 3}', check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: The input does not fit this model (422)\n  ")
    told = json.loads(server.run("predict", "digits", '{"inputs": 3}', "--json", check=False).stdout)
    assert (told["status"], told["answer"]["status"], told["version"]) == (422, 422, "1.0")
    assert server.run("predict", "digits", "no-such-file", check=False).returncode == 1
