"""`torchvision:<name>`: the models that torchvision lists, without weights.

Their config is the keyword arguments of torchvision's own function: `{"num_classes": 10}`.
"""

from __future__ import annotations

import inspect

from models.errors import UnknownArchitectureError
from models.libraries.builder import LibraryArchitecture, library_architecture
from models.libraries.close_names import close_names
from models.libraries.torchvision_operators import import_torchvision

torchvision = import_torchvision()


def find(name: str) -> LibraryArchitecture:
    """Return the architecture `name`; raises UnknownArchitectureError with those that are called alike."""
    known = torchvision.models.list_models()
    if name not in known:
        raise UnknownArchitectureError(f"torchvision has no model {name!r}{close_names(name, known)}")
    function = torchvision.models.get_model_builder(name)
    # A detection model would otherwise download its backbone.
    fixed = {each: None for each in inspect.signature(function).parameters if each.startswith("weights")}
    return library_architecture(f"torchvision:{name}", "torchvision", function, fixed)
