"""Which release of TorchServe workers serve in the loop of, known by its files; apart, as this needs no torch."""

import hashlib
from pathlib import Path

RELEASE = "0.12.0"
SOURCE_DIGESTS = {
    "model_service_worker.py": "3640d5ae3d03e229cc1980f8bfbb3642865cb49f9ead1769bf41a30aa4e75343",
    "protocol/otf_message_handler.py": "83e82dc62b4a95a362efe4518786c6b389b895b85acaf37721aaff042ec9989a",
    "service.py": "f18259269551299d25f4e9d2bdc916c8308c10233501df08196cc7cfa2d0d291",
}
"""SHA-256 of those files of that release whose behaviour is relied on."""


def why_foreign(package_folder: Path) -> str | None:
    """What of the package `ts` in this folder is not as it was released, and what to do; None where all is."""
    for name, digest in SOURCE_DIGESTS.items():
        path = package_folder / name
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return (
                f"{path} is not TorchServe {RELEASE}'s, in whose loop workers serve: install torchserve=={RELEASE} "
                "anew (pip install --force-reinstall --no-deps)"
            )
    return None
