"""Checkpoints in, verified endpoints out: what a training program imports.

Each name is imported when it is first used, so that `statehouse --help` does not wait for torch.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING

from statehouse import models
from statehouse.models import __all__ as _model_names

if TYPE_CHECKING:
    from statehouse.models import *  # noqa: F403

    __version__: str

DISTRIBUTION = "statehouse-serving"  # the index has another project under the name statehouse

__all__ = ["DISTRIBUTION", "__version__"]
__all__ += _model_names


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version(DISTRIBUTION)
    if name in _model_names:
        return getattr(models, name)
    raise AttributeError(f"module 'statehouse' has no attribute {name!r}")
