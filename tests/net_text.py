"""The text of a module with a network of somebody's own, for tests that import one from a file."""

_NET = """
from torch import nn
from statehouse import register_architecture
{imports}

@register_architecture("{name}")
class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 1)

    def forward(self, x):
        {forward}
"""


def net_text(name: str, *, imports: str = "", forward: str = "return self.layer(x)") -> str:
    """The architecture ``name``, with a line that imports and one that computes."""
    return _NET.format(name=name, imports=imports, forward=forward)
