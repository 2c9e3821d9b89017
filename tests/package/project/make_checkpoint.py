"""Writes a checkpoint of a module's network and prints what it answers: MODULE ARCHITECTURE SEED FILE."""

import json
import sys

import torch

from statehouse import TensorTask, build_model, import_architectures, load_checkpoint, save_checkpoint

module, architecture, seed, file = sys.argv[1:]
import_architectures([module])
torch.manual_seed(int(seed))
config = {"input_size": 4}
model = build_model(architecture, config).eval()
save_checkpoint(
    file,
    model,
    architecture=architecture,
    config=config,
    task=TensorTask(input_shape=[4]),
)
model.load_state_dict(load_checkpoint(file).state_dict)
print(json.dumps(model(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))[0].tolist()))
