"""The signatures of examples/signatures on a real server: by JSON, forms and tritonclient, through a swap."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect
from tests.e2e.browser import PATIENCE_MS, chromium, watched_page
from tests.e2e.server import Server
from tests.handlers.test_signature import make, photo

from statehouse.models import load_checkpoint

ROOT = Path(__file__).parents[2]
PATIENT = {"age": 61, "smokes": "yes"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.stem: path for path in make.make(tmp_path_factory.mktemp("checkpoints"))}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("signatures"))
    shutil.copy(ROOT / "examples/signatures/nets.py", server.folder / "nets.py")
    for name in ("skin", "series", "words"):
        told = server.run(
            "publish", str(checkpoints[name]), "--name", name, "--version", "1.0", "--architectures", "nets"
        )
        assert "its code, nets, is kept here" in told.stdout + told.stderr
    versions = {"versions": {"1.0": {}}, "default": "1.0"}
    server.write_deployment(models=dict.fromkeys(("skin", "series", "words"), versions))
    server.start()
    yield server
    server.kill_if_running()


def test_a_photo_and_a_row_by_json_and_by_a_form(server: Server, checkpoints: dict[str, Path]) -> None:
    body, pixels = photo(1)
    row = {"photo": {"b64": base64.b64encode(body).decode()}, "patient": PATIENT}
    by_json = server.client.post("/predictions/skin", json={"inputs": row})
    assert by_json.status_code == 200, by_json.text
    files: Any = {
        "photo": ("photo.png", body, "image/png"),
        "patient": ("patient.json", json.dumps(PATIENT).encode(), "application/json"),
    }
    by_form = server.client.post("/predictions/skin", files=files)
    assert by_form.json() == by_json.json()
    module = load_checkpoint(checkpoints["skin"]).build()
    with torch.inference_mode():
        wanted = module(photo=pixels[None], patient=torch.tensor([[(61.0 - 50) / 18, 0.0, 1.0]]))
    vector = torch.nn.functional.normalize(wanted["vector"])[0]
    assert np.allclose(by_json.json()["vector"], vector, atol=1e-5)


def test_tritonclient_asks_with_two_inputs(server: Server) -> None:
    import tritonclient.http as triton

    body, _ = photo(1)
    row = {"photo": {"b64": base64.b64encode(body).decode()}, "patient": PATIENT}
    wanted = server.client.post("/predictions/skin", json={"inputs": row}).json()
    with triton.InferenceServerClient(server.announced["front"].removeprefix("http://")) as client:
        metadata = client.get_model_metadata("skin")
        assert [each["name"] for each in metadata["inputs"]] == ["patient.age", "patient.smokes", "photo"]
        given = [
            triton.InferInput("photo", [1], "BYTES"),
            triton.InferInput("patient.age", [1], "FP64"),
            triton.InferInput("patient.smokes", [1], "BYTES"),
        ]
        values = (np.array([body], dtype=object), np.array([61.0]), np.array([b"yes"], dtype=object))
        for tensor, value in zip(given, values, strict=True):
            tensor.set_data_from_numpy(value, binary_data=True)
        result = client.infer("skin", given)
        assert np.allclose(result.as_numpy("vector")[0], wanted["vector"], atol=1e-5)
        assert result.as_numpy("risk.label")[0].decode() == wanted["risk"]["label"]


def test_sequences_of_any_length_are_answered_each_as_alone(server: Server) -> None:
    rows = [np.random.default_rng(n).standard_normal((n, 2)).tolist() for n in (1, 17, 5, 40)]
    together = server.client.post(
        "/predictions/series", json={"instances": [{"series": row} for row in rows]}
    )
    assert together.status_code == 200, together.text
    for row, told in zip(rows, together.json()["predictions"], strict=True):
        alone = server.client.post("/predictions/series", json={"inputs": {"series": row}}).json()
        assert np.allclose(told["states"], alone["states"], atol=1e-5)
        assert len(told["states"]) == len(row)


def test_a_kind_of_ones_own_is_served_from_its_snapshot(server: Server) -> None:
    (server.folder / "nets.py").write_text("raise RuntimeError('this is not what was published')\n")
    try:
        server.run("scale", "words", "1.0", "2")
        sound = io.BytesIO()
        with wave.open(sound, "wb") as file:
            file.setparams((1, 2, 8000, 400, "NONE", "not compressed"))
            file.writeframes(bytes(800))
        for _ in range(8):
            answer = server.client.post(
                "/predictions/words", content=sound.getvalue(), headers={"Content-Type": "audio/wav"}
            )
            assert answer.status_code == 200, answer.text
        bad = server.client.post("/predictions/words", content=b"x", headers={"Content-Type": "audio/wav"})
        assert (bad.status_code, "no WAV file" in bad.json()["detail"]) == (422, True)
    finally:
        shutil.copy(ROOT / "examples/signatures/nets.py", server.folder / "nets.py")


def test_its_interface_is_described_and_a_swap_keeps_it(server: Server, checkpoints: dict[str, Path]) -> None:
    document = server.reader.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    row = {"photo": {"b64": base64.b64encode(photo(2)[0]).decode()}, "patient": PATIENT}
    jsonschema.validate(row, schemas["skin-1.0-row"])
    answer = server.client.post("/predictions/skin", json={"inputs": row}).json()
    jsonschema.validate(answer, schemas["skin-1.0-answer"])
    [path] = [each for each in document["paths"] if each == "/predictions/skin"]
    assert "multipart/form-data" in document["paths"][path]["post"]["requestBody"]["content"]
    server.run(
        "publish", str(checkpoints["skin"]), "--name", "skin", "--version", "1.1", "--architectures", "nets"
    )
    server.run("swap", "skin", "1.1")
    swapped = server.client.post("/predictions/skin", json={"inputs": row})
    assert swapped.headers["X-Model-Version"] == "1.1"
    assert swapped.json() == answer


def test_the_page_of_an_image_is_a_picture(server: Server, checkpoints: dict[str, Path]) -> None:
    server.run(
        "publish",
        str(checkpoints["redraw"]),
        "--name",
        "redraw",
        "--version",
        "1.0",
        "--architectures",
        "nets",
    )
    server.run("swap", "redraw", "1.0")
    answer = httpx.post(f"{server.announced['front']}/predictions/redraw", content=photo(3, (16, 16))[0])
    png = base64.b64decode(answer.json()["redrawn"]["b64"])
    assert Image.open(io.BytesIO(png)).size == (16, 16)


def test_the_console_s_form_is_a_row_that_is_answered(server: Server) -> None:
    with chromium() as browser, watched_page(browser, viewport={"width": 1280, "height": 900}) as watched:
        page = watched.visit(f"{server.announced['front']}/console")
        form = page.locator("#try-it")
        form.get_by_role("combobox").first.select_option("skin")
        box = form.get_by_role("textbox")
        expect(box).to_have_value(
            re.compile("patient"), timeout=PATIENCE_MS
        )  # the form is made anew for what is chosen
        row = json.loads(box.input_value())["inputs"]
        assert row["patient"] == {"age": 0, "smokes": "no"}
        form.get_by_role("button", name="Random").click()
        form.get_by_role("button", name="Send").click()
        page.locator("#try-answer .status").wait_for(timeout=PATIENCE_MS)
        answer = page.locator("#try-answer")
        assert "200" in answer.locator(".status").inner_text()
        assert '"risk"' in (answer.text_content() or "")
        assert watched.complaints == []
