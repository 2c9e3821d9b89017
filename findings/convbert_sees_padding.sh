#!/usr/bin/env bash
# transformers: ConvBERT answers a text otherwise when it is padded, whatever the attention mask says.
#
# Most would expect a text with its attention mask to get the same hidden states alone and beside a longer text, as in
# BERT, ELECTRA and the other encoders: what the mask leaves out has no part in the answer.
# Seen: the span convolutions of ConvBERT read the embeddings of padding at the end of a text. With random weights its
# hidden states move by more than a thousandth of the largest, those of BERT by less than a hundred-thousandth.
# A server that batches texts of several lengths gives other answers than a script that asks for one text at a time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.24.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from transformers import AutoConfig, AutoModel

SIZES = {
    "vocab_size": 100,
    "hidden_size": 64,
    "embedding_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 64,
}


def share(kind: str) -> float:
    """How far a padded text's hidden states are from those without padding, as a share of the largest."""
    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **SIZES)).eval()
    text = torch.arange(5, 13)[None]
    padded = torch.nn.functional.pad(text, (0, 8))
    mask = (torch.arange(16) < 8).long()[None]
    with torch.no_grad():
        alone = model(input_ids=text, attention_mask=torch.ones_like(text)).last_hidden_state
        beside = model(input_ids=padded, attention_mask=mask).last_hidden_state[:, :8]
    return float((alone - beside).abs().max() / alone.abs().max())


shares = {kind: share(kind) for kind in ("bert", "electra", "convbert")}
print(f"transformers {version('transformers')}, torch {torch.__version__.partition('+')[0]}")
print("padded, with its mask, expected: the same hidden states, but for rounding")
for kind, found in shares.items():
    told = "the same" if found < 1e-5 else "off by more than 0.001 of the largest" if found > 1e-3 else f"{found:.1e}"
    print(f"padded, with its mask, seen of {kind}: {told}")
sys.exit(0 if shares["bert"] < 1e-5 and shares["electra"] < 1e-5 and shares["convbert"] > 1e-3 else 1)
PYTHON
