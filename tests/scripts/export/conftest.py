"""Published versions of each kind of task, small."""

from __future__ import annotations

from pathlib import Path

import pytest

from statehouse.scripts.store import LocalStore, ModelStore

IMAGE = {"in_channels": 3, "height": 8, "width": 8, "num_classes": 3, "channels": [4], "dropout": 0.5}
TABLE = {"input_size": 3, "hidden_sizes": [5], "output_size": 1, "normalisation": "batch"}
TENSOR = {"input_size": 4, "hidden_size": 3, "num_classes": 2}
WORDS = ["[PAD]", "[UNK]", "red", "green", "the", "house", "is"]
TEXT = {"vocabulary_size": len(WORDS), "embedding_size": 4, "output_size": 2}
TEXTS = ["red", "the green house is red", "the house"]  # of several lengths
BERT = {
    "model_type": "bert",
    "vocab_size": len(WORDS),
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 8,
    "num_labels": 3,
}


def tokenizer() -> str:
    """A tokenizer.json of whole words."""
    import tokenizers

    vocabulary = {word: index for index, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made.to_str()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A store with pets (images), prices (a regression with a category), numbers (tensors), parts (of images), and
    of texts colours (their classes), places (their tokens') and vectors."""
    import torch

    from statehouse.models import (
        CategoricalFeature,
        EmbeddingTask,
        Example,
        ImageClassificationTask,
        ImageSegmentationTask,
        NumericFeature,
        TabularTask,
        TensorTask,
        TextClassificationTask,
        TokenClassificationTask,
        build_model,
        register_architecture,
        save_checkpoint,
    )
    from statehouse.scripts.publishing.publish import publish

    @register_architecture("halving_segmenter")
    class HalvingSegmenter(torch.nn.Module):
        """Computes at half the size, and answers as torchvision's segmenters do."""

        def __init__(self, classes: int) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, classes, 3, stride=2, padding=1)

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            logits = self.layer(images)
            full = torch.nn.functional.interpolate(logits, size=images.shape[-2:], mode="bilinear")
            return {"out": full}

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
        "parts": (
            "halving_segmenter",
            {"classes": 3},
            ImageSegmentationTask(labels=["background", "cat", "cup"], resize=64),
        ),
        "colours": (
            "text_bag",
            TEXT,
            TextClassificationTask(tokenizer=tokenizer(), max_tokens=8, labels=["no", "yes"]),
        ),
        "places": (
            "transformers:AutoModelForTokenClassification",
            BERT,
            TokenClassificationTask(tokenizer=tokenizer(), max_tokens=8, labels=["O", "B-CITY", "I-CITY"]),
        ),
        "vectors": ("text_bag", TEXT, EmbeddingTask(tokenizer=tokenizer(), max_tokens=8, pooling="none")),
    }
    texts = [Example(content_type="text/plain", body=text.encode()) for text in TEXTS]
    store = LocalStore(folder / "model_store")
    for name, (architecture, config, task) in nets.items():
        torch.manual_seed(1)
        path = folder / f"{name}.pt"
        module = build_model(architecture, config)
        examples = texts if name in ("colours", "places", "vectors") else []
        save_checkpoint(path, module, architecture=architecture, config=config, task=task, examples=examples)
        publish(Path(path), store=store, name=name, version="1.0")
    return store
