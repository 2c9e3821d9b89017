"""Which of the libraries' architectures a bare state_dict is of, told by names and shapes alone.

`tensors.npz` beside this file has the names and shapes of all that torchvision and timm list; `make.py` makes it
anew. Neither library is imported to ask it.
"""

from statehouse.models.libraries.index.group import Difference, Group
from statehouse.models.libraries.index.matching import candidates

__all__ = ["Difference", "Group", "candidates"]
