"""Answers requests in a plain TorchServe, from what lies in its archive alone.

`model.pt` is the module as TorchScript, `statehouse.json` says what it is, `golden.json` what it must answer, and
`source/` has the code that reads requests and writes answers. requirements.txt names the packages that this needs.
"""

import json
import sys
from pathlib import Path
from typing import Any


class ExportedHandler:
    """One class, as TorchServe wants it."""

    def initialize(self, context: Any) -> None:  # noqa: ANN401 - TorchServe's
        """Load the module and see that it answers the golden examples; raises RuntimeError where it does not."""
        folder = Path(context.system_properties["model_dir"])
        sys.path.insert(0, str(folder / "source"))
        import torch

        from statehouse.handlers.base import handler_of
        from statehouse.handlers.golden import read_golden
        from statehouse.handlers.worker.startup import serving_device
        from statehouse.models.errors import StatehouseError
        from statehouse.models.tasks.registry import parse_task

        about = json.loads((folder / "statehouse.json").read_text(encoding="utf-8"))
        device = serving_device(context.system_properties.get("gpu_id"))
        self.handler = handler_of(about["task"])()
        self.handler.task = parse_task(about["task"], about["task_config"])
        self.handler.name, self.handler.version, self.handler.digest = (
            about[key] for key in ("name", "version", "digest")
        )
        module = torch.jit.load(str(folder / "model.pt"), map_location=device).eval()  # type: ignore[no-untyped-call]
        shape = about["input_shape"]
        try:
            shape = None if shape is None else tuple(shape)
            self.handler.take(module, shape, device, wrapped=True)
            self.handler.check_golden(read_golden(folder / "golden.json"))
        except StatehouseError as error:
            raise RuntimeError(str(error)) from error

    def handle(self, data: Any, context: Any) -> list[bytes]:  # noqa: ANN401 - TorchServe's
        """Answer one batch; a bad request gets a problem of its own."""
        from statehouse.handlers.request import read_requests, write_responses

        as_sent = [{name: _as_sent(value) for name, value in row.items()} for row in data]
        return write_responses(self.handler.answer(read_requests(as_sent, context)), context)


def _as_sent(value: Any) -> bytes | bytearray:  # noqa: ANN401 - any JSON, or bytes
    """Return a body as its bytes: TorchServe decodes JSON and text unless it is told not to."""
    if isinstance(value, bytes | bytearray):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()
