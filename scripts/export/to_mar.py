"""``.mar``: an archive that a plain TorchServe loads and answers from, without Statehouse.

The module goes in as TorchScript; reading requests and writing answers is this project's own code, as source.
Imports torch: import it late.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path

from statehouse import DISTRIBUTION
from statehouse.handlers.golden import GOLDEN_FILE
from statehouse.scripts.export import mar_handler, to_torchscript
from statehouse.scripts.export.source import ExportSource
from statehouse.scripts.export.verification import module_problems

SUFFIX = ".mar"
PACKAGE = Path(str(files("statehouse")))
HANDLER_FILE = "statehouse_handler.py"
START_TIMEOUT_SECONDS = 600
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same version gives the same archive
# What `handlers` and `models` import; TorchServe itself brings torch.
_NEEDED = frozenset(
    {"numpy", "orjson", "packaging", "pillow", "prometheus-client", "pydantic", "pysimdjson", "safetensors"}
    | {"simplejpeg"}
)
_START = """
import sys, types
sys.path.insert(0, sys.argv[1])
import statehouse_handler
properties = {"model_dir": sys.argv[1], "gpu_id": None}
statehouse_handler.ExportedHandler().initialize(types.SimpleNamespace(system_properties=properties))
from statehouse import handlers
assert handlers.__file__.startswith(sys.argv[1]), handlers.__file__
"""


def write(source: ExportSource, path: Path) -> None:
    """Write the archive; raises ExportError for modules that cannot be recorded."""
    source.require_traced_input("mar")
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, "w") as archive:
        module = Path(folder, "model.pt")
        to_torchscript.write(source, module)
        _add(archive, "model.pt", module.read_bytes())
        _add(archive, "MAR-INF/MANIFEST.json", _as_json(_manifest(source)))
        about = source.describe("mar") | {"input_shape": source.input_shape}
        _add(archive, "statehouse.json", _as_json(about))
        _add(archive, GOLDEN_FILE, source.version.golden_path.read_bytes())
        _add(archive, HANDLER_FILE, Path(mar_handler.__file__).read_bytes())
        _add(archive, "requirements.txt", "\n".join([*_requirements(source.handler.reads_text), ""]).encode())
        for file in _source_files():
            _add(archive, f"source/statehouse/{file.relative_to(PACKAGE)}", file.read_bytes())


def _source_files() -> list[Path]:
    rooms = [each for room in ("handlers", "models") for each in (PACKAGE / room).rglob("*.py")]
    return sorted([PACKAGE / "__init__.py", *rooms])


def problems(source: ExportSource, path: Path) -> list[str]:
    """Compare the recorded module; then start the archive's handler in a process that has only its code."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        found = module_problems(source, to_torchscript.read(Path(folder, "model.pt")))
        started = subprocess.run(
            [sys.executable, "-c", _START, folder],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_TIMEOUT_SECONDS,
        )
        if started.returncode != 0:
            last = started.stderr.strip().splitlines()[-1:] or [f"exit code {started.returncode}"]
            found.append(f"its handler does not start by itself: {last[0]}")
    return found


def _manifest(source: ExportSource) -> dict[str, object]:
    return {
        "runtime": "python",
        "model": {
            "modelName": source.version.name,
            "modelVersion": source.version.version,
            "handler": HANDLER_FILE,
            "serializedFile": "model.pt",
            "requirementsFile": "requirements.txt",
        },
        "archiverVersion": "0.12.0",
    }


def _requirements(reads_text: bool) -> list[str]:
    """Return this project's own ranges of what the archive's code needs."""
    needed = _NEEDED | {"tokenizers"} if reads_text else _NEEDED
    declared = [each.partition(";") for each in requires(DISTRIBUTION) or ()]
    chosen = {
        each.strip()
        for each, _, marker in declared
        if "extra ==" not in marker or 'extra == "text"' in marker
    }
    return sorted(each for each in chosen if re.split(r"[^\w-]", each)[0].lower() in needed)


def _as_json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), content)
