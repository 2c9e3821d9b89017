"""Triton Inference Server of nvidia-pytriton's wheel: Python backend, dynamic batching without delay (its default).

Binary is its binary tensor extension. One model instance (its default), gRPC, metrics and information logs off.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from benchmarks.load import Target
from benchmarks.peers.peer import PythonPeer, json_body, plain
from benchmarks.processes import PeerUnavailableError, bench_python
from benchmarks.workloads import Form, Workload

INSTANCES = 1
TYPES = {"numbers": "FP32", "tokens": "INT64", "image": "BYTES"}
CONFIG = """
name: "{name}"
backend: "python"
max_batch_size: 32
input [{{ name: "input" data_type: TYPE_{type} dims: [{size}] }}]
output [{{ name: "output" data_type: TYPE_FP32 dims: [10] }}]
instance_group [{{ kind: KIND_CPU count: {instances} }}]
dynamic_batching {{ }}
"""


class Triton(PythonPeer):
    """The bundled server, run directly on a model repository with one model."""

    name = "triton"

    def start(self, workload: Workload, folder: Path) -> None:
        """Write the repository and serve it."""
        python = bench_python("pytriton", "torch")
        _write_repository(folder / "models" / workload.name, workload)
        server = _unpack(python, folder)
        command = [str(server / "bin" / "tritonserver"), "--model-repository", str(folder / "models")]
        command += ["--backend-directory", str(folder / "backends"), "--http-port", str(self.port)]
        command += ["--http-address", "127.0.0.1", "--allow-grpc", "false", "--allow-metrics", "false"]
        command += ["--log-verbose", "0", "--log-info", "false"]
        self.start_process(command, workload, folder, "/v2/health/ready", python)

    def standing_still(self) -> AbstractContextManager[None]:
        """It waits without polling; and stopped with work in hand its Python backend ends by a segmentation fault."""
        return nullcontext()

    def target(self, form: Form) -> Target | None:
        """Return requests of the Open Inference Protocol, all JSON or with binary tensors."""
        if form == "json" and self.workload.kind == "image":
            return None
        url = f"{self.url}/v2/models/{self.workload.name}/infer"
        if form == "json":
            return Target(
                url, tuple(map(self._json, self.workload.rows)), {"Content-Type": "application/json"}
            )
        made = [self._binary(row) for row in self.workload.rows]
        headers = {"Content-Type": "application/octet-stream"}
        # The JSON in front of the tensor has one length for all: see _binary.
        headers["Inference-Header-Content-Length"] = str(made[0][1])
        return Target(url, tuple(body for body, _ in made), headers)

    def read(self, form: Form, answer: bytes, headers: dict[str, str]) -> np.ndarray | str:
        """Read the tensor ``output``; of an image the label with the highest."""
        length = int(headers.get("inference-header-content-length", len(answer)))
        [output] = json.loads(answer[:length])["outputs"]
        values = np.array(output["data"]) if "data" in output else np.frombuffer(answer[length:], np.float32)
        return str(int(values.argmax())) if self.workload.kind == "image" else values

    def _json(self, row: np.ndarray) -> bytes:
        tensor = {"name": "input", "shape": [1, len(row)], "datatype": TYPES[self.workload.kind]}
        return json_body({"inputs": [tensor | {"data": plain(row)}]})

    def _binary(self, row: np.ndarray | bytes) -> tuple[bytes, int]:
        content = len(row).to_bytes(4, "little") + row if isinstance(row, bytes) else row.tobytes()
        shape = [1, 1 if isinstance(row, bytes) else len(row)]
        tensor = {
            "name": "input",
            "shape": shape,
            "datatype": TYPES[self.workload.kind],
            "parameters": {"binary_data_size": len(content)},
        }
        wanted = {"name": "output", "parameters": {"binary_data": True}}
        # Spaces make the headers of images, whose sizes differ by a digit, equally long.
        head = json_body({"inputs": [tensor], "outputs": [wanted]}).ljust(256)
        return head + content, len(head)


def _write_repository(folder: Path, workload: Workload) -> None:
    (folder / "1").mkdir(parents=True)
    size = 1 if workload.kind == "image" else len(workload.rows[0])
    kind = "STRING" if workload.kind == "image" else TYPES[workload.kind]
    config = CONFIG.format(name=workload.name, type=kind, size=size, instances=INSTANCES)
    (folder / "config.pbtxt").write_text(config)
    shutil.copy(Path(__file__).parent / "apps" / "triton_model.py", folder / "1" / "model.py")


def _unpack(python: str, folder: Path) -> Path:
    """Put the Python backend together with the stub of the peers' Python; return the server's tree."""
    ask = "import sys, sysconfig; print(sysconfig.get_path('purelib')); print('%d.%d' % sys.version_info[:2])"
    packages, version = subprocess.check_output([python, "-c", ask], text=True).split()
    server = Path(packages, "pytriton", "tritonserver")
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise PeerUnavailableError(f"nvidia-pytriton has no stub for Python {version}")
    linked = subprocess.run(["ldd", str(stub)], capture_output=True, text=True, check=False).stdout
    if "not found" in linked:
        missing = [line.split()[0] for line in linked.splitlines() if "not found" in line]
        raise PeerUnavailableError(f"its stub needs {', '.join(missing)}, which this machine lacks")
    backend = folder / "backends" / "python"
    backend.mkdir(parents=True)
    for file in ("libtriton_python.so", "triton_python_backend_utils.py"):
        (backend / file).symlink_to(server / "backends" / "python" / file)
    (backend / stub.name).symlink_to(stub)
    return server
