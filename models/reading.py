"""How the tensors of a file are to be read, as far as the reader chooses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    r"""What is asked of a reader: `rename` has rules such as `encoder\.(.*)=backbone.\1`, see `models.renaming`."""

    rename: tuple[str, ...] = ()


AS_IT_IS = Reading()
