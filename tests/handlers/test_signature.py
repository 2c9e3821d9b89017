"""Named inputs and outputs: answers are PyTorch's own, in any company; what does not fit is told by name."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from statehouse.handlers.base import CheckpointHandler
from statehouse.handlers.errors import MalformedRequestError, ModuleMismatchError, OptimizationError
from statehouse.handlers.request import JSON_TYPE, Request, Response
from statehouse.models import (
    InputKind,
    OutputKind,
    SignatureTask,
    load_checkpoint,
    register_architecture,
    register_input_kind,
    register_output_kind,
    save_checkpoint,
)

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples/signatures"))
import make  # noqa: E402

BOUNDARY = "x"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.stem: path for path in make.make(tmp_path_factory.mktemp("signatures"))}


@pytest.fixture
def handler(checkpoints: dict[str, Path]) -> Callable[[str], CheckpointHandler[Any]]:
    return lambda name: CheckpointHandler.from_checkpoint(
        load_checkpoint(checkpoints[name]), name=name, version="1.0"
    )


def asked(handler: CheckpointHandler[Any], row: object) -> Response:
    [response] = handler.answer([Request(json.dumps({"inputs": row}).encode(), JSON_TYPE)])
    return response


def answer(handler: CheckpointHandler[Any], row: object) -> Any:
    response = asked(handler, row)
    assert response.status == 200, response.body
    return json.loads(response.body)


def form(parts: dict[str, tuple[str, bytes]]) -> Request:
    pieces = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        + body
        + b"\r\n"
        for name, (kind, body) in parts.items()
    ]
    body = b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()
    return Request(body, multipart_type=f"multipart/form-data; boundary={BOUNDARY}")


def photo(seed: int, size: tuple[int, int] = (32, 32)) -> tuple[bytes, Tensor]:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    scaled = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(make.PHOTO[key]).reshape(3, 1, 1) for key in ("mean", "std"))
    return file.getvalue(), (scaled - mean) / std


class TestTwoInputs:
    def test_a_photo_and_a_row_are_answered_as_by_the_module(self, handler, checkpoints):
        body, pixels = photo(1)
        patient = torch.tensor([[(61.0 - 50) / 18, 0.0, 1.0]])
        module = load_checkpoint(checkpoints["skin"]).build()
        with torch.inference_mode():
            wanted = module(photo=pixels[None], patient=patient)
        given = {
            "photo": {"b64": base64.b64encode(body).decode()},
            "patient": {"age": 61, "smokes": "yes"},
        }
        told = answer(handler("skin"), given)
        scores = {each["label"]: each["score"] for each in told["risk"]["top_k"]}
        assert np.allclose([scores["low"], scores["high"]], wanted["risk"].softmax(1)[0], atol=1e-5)
        assert np.allclose(told["vector"], nn.functional.normalize(wanted["vector"])[0], atol=1e-5)

    def test_a_form_says_the_same(self, handler):
        body, _ = photo(1)
        skin = handler("skin")
        patient = {"age": 61, "smokes": "yes"}
        parts = {"photo": ("image/png", body), "patient": ("application/json", json.dumps(patient).encode())}
        [response] = skin.answer([form(parts)])
        assert response.status == 200, response.body
        assert json.loads(response.body) == answer(
            skin, {"photo": {"b64": base64.b64encode(body).decode()}, "patient": patient}
        )

    def test_the_inference_protocol_says_the_same(self, handler):
        skin = handler("skin")
        rows = [photo(seed)[0] for seed in (1, 2)]
        document = {
            "inputs": [
                {"name": "photo", "datatype": "BYTES", "shape": [2, 1],
                 "data": [base64.b64encode(row).decode() for row in rows]},
                {"name": "patient.age", "datatype": "FP64", "shape": [2], "data": [61, 8]},
                {"name": "patient.smokes", "datatype": "BYTES", "shape": [2], "data": ["yes", "no"]},
            ]
        }  # fmt: skip
        [response] = skin.answer([Request(json.dumps(document).encode(), form="v2")])
        assert response.status == 200, response.body
        outputs = {each["name"]: each for each in json.loads(response.body)["outputs"]}
        assert outputs["vector"]["shape"] == [2, 16]
        one = answer(
            skin,
            {"photo": {"b64": base64.b64encode(rows[1]).decode()}, "patient": {"age": 8, "smokes": "no"}},
        )
        assert np.allclose(outputs["vector"]["data"][16:], one["vector"], atol=1e-5)
        assert outputs["risk.label"]["data"][1] == one["risk"]["label"]
        assert [each["name"] for each in skin.tensor_outputs()] == list(outputs)

    def test_everything_wrong_with_a_row_is_one_problem_and_its_neighbours_are_answered(self, handler):
        skin = handler("skin")
        bad = Request(b'{"inputs": {"foto": 1, "patient": {"age": "x"}}}', JSON_TYPE)
        refused, answered = skin.answer([bad, skin.make_example(3)])
        assert (refused.status, answered.status) == (422, 200)
        detail = json.loads(refused.body)["detail"]
        for expected in ("'photo' is missing", "'foto' is unknown", "'smokes' is missing", "'age' is 'x'"):
            assert expected in detail
        assert len(json.loads(refused.body)["errors"]) == 3

    def test_a_body_that_is_one_input_alone_is_refused_with_the_way_to_send_both(self, handler):
        [response] = handler("skin").answer([Request(photo(1)[0], "image/png")])
        assert response.status == 415
        assert "one part per input (patient, photo)" in json.loads(response.body)["detail"]

    def test_what_it_is_told_to_be_fits_its_requests_and_answers(self, handler):
        for name in make.SIGNATURES:
            one = handler(name)
            request = one.make_example(5)
            jsonschema.validate(json.loads(request.body)["inputs"], one.input_schema())
            [response] = one.answer([request])
            jsonschema.validate(json.loads(response.body), one.output_schema())


class TestFreeDimensions:
    def lengths(self, count: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(count)
        return [torch.randn(1 + 5 * n % 17, 2, generator=generator) for n in range(count)]

    def test_rows_of_any_length_together_are_as_each_alone_in_torch(self, handler, checkpoints):
        rows = self.lengths(9)
        module = load_checkpoint(checkpoints["series"]).build()
        requests = [Request(json.dumps({"inputs": {"series": r.tolist()}}).encode(), JSON_TYPE) for r in rows]
        for response, row in zip(handler("series").answer(requests), rows, strict=True):
            told = json.loads(response.body)
            with torch.inference_mode():
                kind, states = module(row[None], torch.tensor([len(row)]))
            assert np.allclose(told["states"], states[0], atol=1e-5)
            scores = {each["label"]: each["score"] for each in told["kind"]["top_k"]}
            assert np.allclose(
                [scores[label] for label in ("walk", "run", "rest")], kind[0].softmax(0), atol=1e-5
            )

    def test_without_pad_unequal_rows_do_not_meet(self, tmp_path):
        seen: list[int] = []

        @register_architecture("signature_test_counts")
        class Counts(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = nn.Parameter(torch.ones(1))

            def forward(self, series: Tensor) -> Tensor:
                seen.append(len(series))
                return series.sum(dim=1, keepdim=True) * self.scale

        task = SignatureTask(
            inputs={"series": {"kind": "tensor", "shape": [None]}}, outputs={"sum": {"kind": "value"}}
        )
        handler = handler_of(tmp_path, Counts(), "signature_test_counts", task)
        rows = [[1.0], [1.0, 2.0], [3.0], [4.0, 5.0], [6.0]]
        seen.clear()
        request = Request(json.dumps({"instances": [{"series": row} for row in rows]}).encode(), JSON_TYPE)
        [response] = handler.answer([request])
        assert [each["sum"] for each in json.loads(response.body)["predictions"]] == [1, 3, 3, 9, 6]
        assert sorted(seen) == [2, 3]

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            ([], "expected [steps, 2]"),
            ([[1, 2, 3]], "expected [steps, 2]"),
            ([[1, 2], [3]], "expected a list of 2"),
            ("text", "expected nested lists"),
            (None, "expected nested lists"),
            ([[1, "x"]], "'x'"),
            ([[1, True]], "True"),
            ([[1, 1e39]], "finite"),
            ([[1, 2**24 + 1]], "cannot be held by float32"),
        ],
    )
    def test_what_is_no_such_tensor_is_refused(self, handler, value, told):
        response = asked(handler("series"), {"series": value})
        assert response.status == 422
        assert told in json.loads(response.body)["detail"]

    def test_in_the_protocol_outputs_of_unequal_rows_are_no_tensor(self, handler):
        series = handler("series")
        document = {"inputs": [{"name": "series", "datatype": "FP32", "shape": [1, 3, 2], "data": [0.5] * 6}]}
        [response] = series.answer([Request(json.dumps(document).encode(), form="v2")])
        outputs = {each["name"]: each["shape"] for each in json.loads(response.body)["outputs"]}
        assert outputs["states"] == [1, 3, 16]
        assert {each["name"]: each["shape"] for each in series.tensor_outputs()}["states"] == [-1, -1, 16]

    def test_raw_numbers_and_npy_are_read(self, handler):
        series = handler("series")
        row = self.lengths(3)[2].numpy()
        wanted = answer(series, {"series": row.tolist()})
        file = io.BytesIO()
        np.save(file, row)
        for request in (
            Request(row.tobytes(), "application/octet-stream"),
            Request(file.getvalue(), "application/x-npy"),
            form({"series": ("application/octet-stream", file.getvalue())}),
        ):
            [response] = series.answer([request])
            assert response.status == 200, response.body
            assert json.loads(response.body) == wanted

    def test_a_file_that_says_more_than_it_holds_is_refused(self, handler):
        file = io.BytesIO()
        np.save(file, np.zeros((4, 2), np.float32))
        [response] = handler("series").answer([Request(file.getvalue()[:-8], "application/x-npy")])
        assert response.status == 422
        assert "24 bytes follow" in json.loads(response.body)["detail"]


def handler_of(tmp_path: Path, module: nn.Module, name: str, task: SignatureTask) -> CheckpointHandler[Any]:
    path = save_checkpoint(tmp_path / "net.pt", module, architecture=name, config={}, task=task)
    return CheckpointHandler.from_checkpoint(load_checkpoint(path))


class TestRowsThatDiffer:
    """Two sequences that have to be of one length, without padding: unequal rows give unequal outputs."""

    @pytest.fixture
    def pairs(self, tmp_path):
        tensor = {"kind": "tensor", "shape": ["time"]}
        task = SignatureTask(inputs={"a": tensor, "b": tensor}, outputs={"ratio": {"kind": "tensor"}})
        return handler_of(tmp_path, Ratio(), "signature_test_ratio", task)

    def instances(self, *rows):
        rows = [{"a": a, "b": b} for a, b in rows]
        return Request(json.dumps({"instances": rows}).encode(), JSON_TYPE)

    def test_each_is_answered_in_its_own_size_and_place(self, pairs):
        [response] = pairs.answer([self.instances(([2, 4], [1, 1]), ([9], [3]), ([8, 6], [2, 2]))])
        assert [each["ratio"] for each in json.loads(response.body)["predictions"]] == [[2, 4], [3], [4, 3]]

    def test_sizes_of_one_name_that_differ_are_told_with_their_inputs(self, pairs):
        response = asked(pairs, {"a": [1, 2], "b": [1, 2, 3]})
        assert response.status == 422
        assert "'time' is 2 in 'a' and 3 in 'b'; expected one size" in json.loads(response.body)["detail"]

    def test_outputs_of_unequal_rows_are_no_tensor(self, pairs):
        outputs = {"ratio": np.array([np.ones(2), np.ones(3)], dtype=object)}
        with pytest.raises(MalformedRequestError, match="another size in each row"):
            pairs.inference_outputs(outputs)
        assert pairs.inference_outputs({"ratio": outputs["ratio"][:1]})["ratio"].shape == (1, 2)

    def test_an_output_that_is_not_finite_is_its_own_requests_alone(self, pairs):
        bad, good = self.instances(([1, 1], [0, 1])), self.instances(([1], [2]))
        told = pairs.answer([bad, good])
        assert [each.status for each in told] == [500, 200]
        assert json.loads(told[0].body)["type"].endswith("non-finite-output")

    def test_rows_that_take_too_much_memory_together_are_refused(self, pairs, monkeypatch):
        monkeypatch.setattr("statehouse.handlers.kinds.rows.MAX_DECODED_BYTES", 40)
        rows = [([1.0] * 2, [1.0] * 2)] * 3  # 16 bytes each
        [response] = pairs.answer([self.instances(*rows)])
        assert response.status == 422
        assert json.loads(response.body)["rows"] == [2]
        assert "more than 40 bytes" in json.loads(response.body)["detail"]


class TestOtherKinds:
    def test_all_images_of_a_request_have_one_budget_of_pixels(self, handler, monkeypatch):
        monkeypatch.setattr("statehouse.handlers.images.decode.MAX_PIXELS", 3 * 32 * 32)
        image = {"b64": base64.b64encode(photo(1)[0]).decode()}
        scene = handler("scene")
        for count, status in ((3, 200), (4, 422)):
            body = json.dumps({"instances": [{"photo": image}] * count}).encode()
            [response] = scene.answer([Request(body, JSON_TYPE)])
            assert response.status == status, response.body

    def test_an_input_that_is_too_large_by_itself_is_told_so(self, handler, monkeypatch):
        scene = handler("scene")
        monkeypatch.setattr("statehouse.handlers.images.decode.MAX_PIXELS", 100)
        [response] = scene.answer([Request(photo(1)[0], "image/png")])
        assert response.status == 413

    def test_several_labels_and_one_body_that_is_the_image(self, handler, checkpoints):
        body, pixels = photo(4)
        with torch.inference_mode():
            wanted = load_checkpoint(checkpoints["scene"]).build()(pixels[None]).sigmoid()[0]
        [response] = handler("scene").answer([Request(body, "image/png")])
        told = json.loads(response.body)["tags"]
        assert {each["label"] for each in told["labels"]} == {
            label for label, score in zip(("sky", "sea", "tree"), wanted, strict=True) if score >= 0.5
        }
        assert told["score"] == pytest.approx(float(wanted.max()), abs=1e-5)

    def test_an_image_is_answered_with_an_image(self, handler, checkpoints):
        pixels = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        [response] = handler("redraw").answer([Request(file.getvalue(), "image/png")])
        png = base64.b64decode(json.loads(response.body)["redrawn"]["b64"])
        with torch.inference_mode():
            module = load_checkpoint(checkpoints["redraw"]).build()
            wanted = module(torch.from_numpy(pixels)[None, None].float() / 255)[0, 0] * 255
        assert np.abs(np.asarray(Image.open(io.BytesIO(png))).astype(float) - wanted.numpy()).max() <= 0.51

    def test_the_protocol_gives_the_files_bytes(self, handler):
        redraw = handler("redraw")
        example = json.loads(redraw.make_example().body)["inputs"]["picture"]["b64"]
        document = {
            "inputs": [{"name": "picture", "datatype": "BYTES", "shape": [1], "data": [example]}],
            "outputs": [{"name": "redrawn", "parameters": {"binary_data": True}}],
        }
        [response] = redraw.answer([Request(json.dumps(document).encode(), form="v2")])
        assert b"\x89PNG" in response.body

    def test_values_are_in_their_own_unit_and_nested_outputs_are_found(self, handler, checkpoints):
        row = [1.0, 2.0, 3.0, 4.0]
        with torch.inference_mode():
            wanted = load_checkpoint(checkpoints["houses"]).build()(torch.tensor([row]))["heads"]["price"]
        assert answer(handler("houses"), {"house": row})["price"] == pytest.approx(
            float(wanted) * 90_000 + 210_000, rel=1e-5
        )
        response = asked(handler("houses"), {"house": [1, -2, 3, 4]})
        assert "at least 0.0" in json.loads(response.body)["detail"]

    def test_a_kind_of_ones_own_reads_its_bytes_and_says_what_is_wrong(self, handler):
        words = handler("words")
        example = words.make_example(1)
        sound = base64.b64decode(json.loads(example.body)["inputs"]["sound"]["b64"])
        first, second, bad, short, again = words.answer(
            [
                example,
                Request(sound, "audio/wav"),
                Request(b"no sound", "audio/wav"),
                Request(sound[:100], "audio/wav"),
                form({"sound": ("audio/wav", sound)}),
            ]
        )
        assert json.loads(first.body) == json.loads(second.body) == json.loads(again.body)
        assert bad.status == short.status == 422
        assert "no WAV file" in json.loads(bad.body)["detail"]
        assert "28 samples; expected at least 400" in json.loads(short.body)["detail"]

    def test_json_s_tensors_have_its_bytes_as_base64(self, handler):
        words = handler("words")
        example = words.make_example(1)
        sound = json.loads(example.body)["inputs"]["sound"]["b64"]
        for data, status in ((sound, 200), ("no base64!", 422)):
            tensor = {"name": "sound", "datatype": "BYTES", "shape": [1], "data": [data]}
            [response] = words.answer([Request(json.dumps({"inputs": [tensor]}).encode(), form="v2")])
            assert response.status == status, response.body

    def test_a_body_of_another_type_is_told_which_are_read(self, handler):
        [response] = handler("words").answer([Request(b"x", "audio/mpeg")])
        assert response.status == 415
        assert "audio/wav, audio/x-wav" in json.loads(response.body)["detail"]

    def test_optimizations_are_refused_for_now(self, handler):
        with pytest.raises(OptimizationError, match="freeze"):
            handler("houses").optimized(["freeze"])


@register_architecture("signature_test_ratio")
class Ratio(nn.Module):
    """Divides one sequence by the other."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a / b * self.scale


@register_architecture("signature_test_net")
class Net(nn.Module):
    """Gives what its mode says."""

    def __init__(self, mode: str = "tensor") -> None:
        super().__init__()
        self.mode, self.layer = mode, nn.Linear(2, 2)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Any:
        y = self.layer(x) if scale is None else self.layer(x) * scale
        return {"tensor": y, "none": None, "fewer": y[1:], "pair": (y, y), "other": {"z": y}, "text": "y"}[
            self.mode
        ]


X = {"x": {"kind": "tensor", "shape": [2]}}
Y = {"y": {"kind": "tensor"}}


class TestWhatDoesNotFit:
    def adopted(self, tmp_path: Path, mode: str, inputs: Any = X, outputs: Any = Y) -> CheckpointHandler[Any]:
        task = SignatureTask(inputs=inputs, outputs=outputs)
        path = save_checkpoint(
            tmp_path / "net.pt",
            Net(mode),
            architecture="signature_test_net",
            config={"mode": mode},
            task=task,
        )
        return CheckpointHandler.from_checkpoint(load_checkpoint(path))

    @pytest.mark.parametrize(
        ("mode", "told"),
        [
            ("none", "y is not in None"),
            ("fewer", "answers 1 rows with a tensor of \\[0, 2\\]"),
            ("pair", 'y is not in a tuple of 2; say its place, "source": "0"'),
            ("other", "y is not in a dict with 'z'"),
            ("text", "y is not in str"),
        ],
    )
    def test_what_the_module_returns_is_seen_before_it_serves(self, tmp_path, mode, told):
        with pytest.raises(ModuleMismatchError, match=told):
            self.adopted(tmp_path, mode)

    @pytest.mark.parametrize(
        ("inputs", "told"),
        [
            ({"z": X["x"]}, "z is no argument of it; x has no input"),
            ({"x": X["x"] | {"pad": {"mask": "m"}, "shape": [None]}}, "m is no argument"),
        ],
    )
    def test_inputs_are_the_arguments_of_forward(self, tmp_path, inputs, told):
        with pytest.raises(ModuleMismatchError, match=told):
            self.adopted(tmp_path, "tensor", inputs)

    def test_an_optional_input_has_its_default(self, tmp_path):
        scale = {"kind": "tensor", "shape": [1], "default": [2.0]}
        handler = self.adopted(tmp_path, "tensor", X | {"scale": scale})
        assert handler.input_schema()["required"] == ["x"]
        left_out, given, other = (
            answer(handler, {"x": [1, 2]} | more)["y"] for more in ({}, {"scale": [2.0]}, {"scale": [3.0]})
        )
        assert left_out == given
        assert np.allclose(np.array(other) * 2, np.array(given) * 3, atol=1e-5)
        document = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
        [response] = handler.answer([Request(json.dumps(document).encode(), form="v2")])
        assert np.allclose(json.loads(response.body)["outputs"][0]["data"], given, atol=1e-5)

    @pytest.mark.parametrize(
        "tensor",
        [
            {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]},
            {"name": "x", "datatype": "BYTES", "shape": [1], "data": ["a"]},
            {"name": "z", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]},
        ],
    )
    def test_tensors_that_do_not_fit_are_refused(self, tmp_path, tensor):
        handler = self.adopted(tmp_path, "tensor")
        [response] = handler.answer([Request(json.dumps({"inputs": [tensor]}).encode(), form="v2")])
        assert response.status == 422

    @pytest.mark.parametrize(
        ("datatype", "data"),
        [
            ("FP64", [0.1, 2e-3]),
            ("INT32", [1, 2]),
            ("FP16", [1, 2]),
            ("BF16", [1, 2]),
            ("BOOL", [True, False]),
        ],
    )
    def test_numbers_of_another_datatype_are_taken(self, tmp_path, datatype, data):
        handler = self.adopted(tmp_path, "tensor")
        tensor = {"name": "x", "datatype": datatype, "shape": [1, 2], "data": data}
        [response] = handler.answer([Request(json.dumps({"inputs": [tensor]}).encode(), form="v2")])
        assert response.status == 200, response.body
        wanted = answer(handler, {"x": [float(each) for each in data]})["y"]
        assert np.allclose(json.loads(response.body)["outputs"][0]["data"], wanted, atol=1e-6)

    @pytest.mark.parametrize(
        ("datatype", "data", "told"),
        [("INT64", [2**24 + 1, 0], "none of float32"), ("FP64", [1e39, 0], "finite")],
    )
    def test_numbers_that_would_be_others_are_not(self, tmp_path, datatype, data, told):
        handler = self.adopted(tmp_path, "tensor")
        tensor = {"name": "x", "datatype": datatype, "shape": [1, 2], "data": data}
        [response] = handler.answer([Request(json.dumps({"inputs": [tensor]}).encode(), form="v2")])
        assert response.status == 422
        assert told in json.loads(response.body)["detail"]

    def test_bfloat16_is_read_from_its_bytes(self, tmp_path):
        handler = self.adopted(tmp_path, "tensor")
        numbers = torch.tensor([0.5, -3.0], dtype=torch.bfloat16).view(torch.uint16).numpy().tobytes()
        tensor = {"name": "x", "datatype": "BF16", "shape": [1, 2], "parameters": {"binary_data_size": 4}}
        document = json.dumps({"inputs": [tensor]}).encode()
        request = Request(document + numbers, form="v2", inference_header_length=str(len(document)))
        [response] = handler.answer([request])
        assert response.status == 200, response.body
        wanted = answer(handler, {"x": [0.5, -3.0]})["y"]
        assert np.allclose(json.loads(response.body)["outputs"][0]["data"], wanted, atol=1e-6)

    def test_an_array_as_numpy_saves_it_is_taken(self, tmp_path):
        handler = self.adopted(tmp_path, "tensor")
        file = io.BytesIO()
        np.save(file, np.array([0.1, 0.7]))  # float64, as arrays are unless said otherwise
        [response] = handler.answer([Request(file.getvalue(), "application/x-npy")])
        assert np.allclose(json.loads(response.body)["y"], answer(handler, {"x": [0.1, 0.7]})["y"], atol=1e-6)

    def test_a_default_that_is_refused_is_seen_before_it_serves(self, tmp_path):
        scale = {"kind": "tensor", "shape": [1], "default": [1, 2]}
        with pytest.raises(
            ModuleMismatchError, match=r"default of input 'scale' is refused: The shape is \[2\]"
        ):
            self.adopted(tmp_path, "tensor", X | {"scale": scale})


class TestKindsThatMisbehave:
    def test_one_that_raises_is_told_and_harms_no_neighbour(self, tmp_path):
        @register_input_kind("signature_test_raises")
        class Raises(InputKind):
            def decode(self, value: Any) -> Any:
                return (
                    {"good": np.ones(2, np.float32), "odd": "odd"}.get(value) if value != "bad" else {}["bad"]
                )

            def example(self, random: Any) -> str:
                return "good"

        @register_output_kind("signature_test_sum")
        class Sum(OutputKind):
            def encode(self, values: Any) -> Any:
                return {"sum": float(values.sum())}

        task = SignatureTask(
            inputs={"x": {"kind": "signature_test_raises"}}, outputs={"y": {"kind": "signature_test_sum"}}
        )
        path = save_checkpoint(
            tmp_path / "net.pt",
            Net(),
            architecture="signature_test_net",
            config={"mode": "tensor"},
            task=task,
        )
        handler = CheckpointHandler.from_checkpoint(load_checkpoint(path))
        rows = [Request(json.dumps({"inputs": {"x": x}}).encode(), JSON_TYPE) for x in ("bad", "good", "odd")]
        bad, good, odd = handler.answer(rows)
        assert (bad.status, good.status, odd.status) == (422, 200, 500)
        assert (
            "raised KeyError" in json.loads(bad.body)["detail"]
            or "KeyError: 'bad'" in json.loads(bad.body)["detail"]
        )
        assert json.loads(good.body)["y"].keys() == {"sum"}
