"""A network with moods, for tests of what can go wrong: registered as anybody's own would be.

The first input, from 10 on, says for how many seconds to sleep: 10.5 for half a second. The second is what
the moods "crash", "hungry" and "nan" wait for; as the third it holds the request for as long as there is a file
"hold" beside this one.
"""

import os
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from statehouse.models import register_architecture

POISON = 13.0
HOLD = Path(__file__).with_name("hold")
IN_A_WORKER = any(argument.startswith("--sock-") for argument in sys.argv)


@register_architecture("moody_net", input_shape=lambda config: (4,))
class MoodyNet(nn.Module):
    """Gives four numbers, scaled."""

    def __init__(self, mood: str = "steady", sleep_seconds: float = 0.1) -> None:
        super().__init__()
        if mood == "unloadable" and IN_A_WORKER:
            raise RuntimeError("not in the mood to be loaded")
        self.mood = mood
        self.sleep_seconds = sleep_seconds
        self.scale = nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        asleep = max(float(x[:, 0].max()) - 10, 0.0)
        poisoned = x[:, 1] == POISON
        if self.mood == "slow" and poisoned.any():
            asleep = self.sleep_seconds
        time.sleep(asleep)
        while (x[:, 2] == POISON).any() and HOLD.exists():
            time.sleep(0.01)
        if self.mood == "crash" and poisoned.any():
            os._exit(1)
        if self.mood == "hungry" and poisoned.any():
            torch.empty(1 << 60)
        y = x * self.scale
        if self.mood == "wrong" and IN_A_WORKER:
            y = y + 1
        if self.mood == "nan":
            y = torch.where(poisoned[:, None], torch.nan, y)
        return y
