"""`timm:<name>`: the models that timm lists, without weights; a tag as in `resnet50.a1_in1k` may follow the name.

Their config is the keyword arguments of timm's own function: `{"num_classes": 10, "in_chans": 1}`.
"""

from __future__ import annotations

from models.errors import UnknownArchitectureError
from models.libraries.builder import LibraryArchitecture, library_architecture
from models.libraries.close_names import close_names
from models.libraries.torchvision_operators import import_torchvision

import_torchvision()  # timm imports it, and would fail where its operators do not load

import timm  # noqa: E402


def find(name: str) -> LibraryArchitecture:
    """Return the architecture `name`; raises UnknownArchitectureError with those that are called alike."""
    base, _, tag = name.partition(".")
    known = timm.list_models()
    if base not in known:
        raise UnknownArchitectureError(f"timm has no model {base!r}{close_names(base, known)}")
    tags = timm.models.list_pretrained(f"{base}.*") if tag else []
    if tag and name not in tags:
        raise UnknownArchitectureError(f"timm's {base} has no tag {tag!r}{close_names(name, tags)}")
    return library_architecture(f"timm:{name}", "timm", timm.model_entrypoint(name), {"pretrained": False})
