"""Published versions of each kind of task, small."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.store import LocalStore, ModelStore

IMAGE = {"in_channels": 3, "height": 8, "width": 8, "num_classes": 3, "channels": [4], "dropout": 0.5}
TABLE = {"input_size": 3, "hidden_sizes": [5], "output_size": 1, "normalisation": "batch"}
TENSOR = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
WORDS = ["[PAD]", "[UNK]", "red", "green", "the", "house", "is"]
TEXT = {"vocabulary_size": len(WORDS), "embedding_size": 4, "output_size": 2}
TEXTS = ["red", "the green house is red", "the house"]  # of several lengths


def tokenizer() -> str:
    """A tokenizer.json of whole words."""
    import tokenizers

    vocabulary = {word: index for index, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made.to_str()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A store with pets (images), prices (a regression with a category), numbers (tensors) and colours (texts)."""
    import torch

    from models import (
        CategoricalFeature,
        Example,
        ImageClassificationTask,
        NumericFeature,
        TabularTask,
        TensorTask,
        TextClassificationTask,
        build_model,
        save_checkpoint,
    )
    from scripts.publish import publish

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("export")
    pets = ImageClassificationTask(
        labels=["cat", "dog", "eel"],
        height=8,
        width=8,
        resize=9,
        mode="rgb",
        mean=[0.5, 0.4, 0.3],
        std=[0.2, 0.3, 0.4],
    )
    prices = TabularTask(
        kind="regression",
        features=[
            NumericFeature(name="area", mean=80.0, std=25.0, minimum=0.0),
            CategoricalFeature(name="garden", categories=["no", "yes"]),
        ],
        target_mean=2e5,
        target_std=9e4,
    )
    nets = {
        "pets": ("convnet", IMAGE, pets),
        "prices": ("mlp", TABLE, prices),
        "numbers": ("simple_net", TENSOR, TensorTask()),
        "colours": (
            "text_bag",
            TEXT,
            TextClassificationTask(tokenizer=tokenizer(), max_tokens=8, labels=["no", "yes"]),
        ),
    }
    texts = [Example(content_type="text/plain", body=text.encode()) for text in TEXTS]
    store = LocalStore(folder / "model_store")
    for name, (architecture, config, task) in nets.items():
        torch.manual_seed(1)
        path = folder / f"{name}.pt"
        module = build_model(architecture, config)
        examples = texts if name == "colours" else []
        save_checkpoint(path, module, architecture=architecture, config=config, task=task, examples=examples)
        publish(Path(path), store=store, name=name, version="1.0")
    return store
