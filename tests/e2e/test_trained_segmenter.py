"""A segmenter of torchvision's, trained here, on a real server: it finds the pixels of shapes that it never saw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tests.e2e.server import Server
from tests.e2e.shapes import ARCHITECTURE, CONFIG, LABELS, SIDE, pictures, train

from statehouse.handlers.images.masks import read_mask
from statehouse.models import ImageSegmentationTask, save_checkpoint

TASK = ImageSegmentationTask(labels=LABELS, resize=SIDE)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Two that wait for each other take many times as long where another file's tests have the other core."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.fixture(scope="module")
def server(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    torch.manual_seed(0)
    server = Server(tmp_path_factory.mktemp("server"))
    file, example = server.folder / "shapes.pt", server.folder / "shape.png"
    save_checkpoint(file, train(TASK), architecture=ARCHITECTURE, config=CONFIG, task=TASK)
    example.write_bytes(pictures(1, seed=3)[0].png)
    server.run("publish", str(file), "--name", "shapes", "--version", "1.0", "--example", str(example))
    one = {"default": "1.0", "versions": {"1.0": {"batch_size": 4}}}
    server.write_deployment(models={"shapes": one})
    server.start()
    yield server
    server.kill_if_running()


def test_the_pixels_of_a_shape_are_found(server: Server) -> None:
    overlaps = []
    for picture in pictures(20, seed=2):
        answer = server.client.post("/predictions/shapes", content=picture.png)
        assert answer.status_code == 200, answer.text
        told, wanted = read_mask(answer.json()) == picture.kind, picture.mask.numpy() > 0
        overlaps.append((told & wanted).sum() / (told | wanted).sum())
    assert np.median(overlaps) > 0.7
    assert min(overlaps) > 0  # each is named rightly somewhere
