"""The stored index: what is written is read, and the same index gives the same bytes."""

from __future__ import annotations

from statehouse.models.libraries.index.group import Difference
from statehouse.models.libraries.index.stored import FILE, Entry, make_index, read_index, write_index

DIFFERENCE = Difference("eps", {"1": ("timm:a",), "2": ("timm:b",)})
ENTRIES = [
    (
        Entry(("timm:a", "timm:b"), 1000, "image_classification", (DIFFERENCE,)),
        {"stem.weight": (4, 3), "scale": ()},
    ),
    (Entry(("timm:c",)), {"scale": (), "stem.weight": (4, 3), "head": (0, 2)}),
]


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "index.npz"
    write_index(make_index(ENTRIES, {"timm": "1.0"}, {"timm:d": "cannot"}), path)
    index = read_index(path)
    assert index.entries == tuple(entry for entry, _ in ENTRIES)
    assert [index.tensors(number) for number in (0, 1)] == [tensors for _, tensors in ENTRIES]
    assert list(index.tensors(1)) == list(ENTRIES[1][1])
    assert (index.libraries, index.unbuilt) == ({"timm": "1.0"}, {"timm:d": "cannot"})


def test_the_same_index_gives_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        write_index(make_index(ENTRIES, {}, {}), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_shipped_index_is_small_and_says_what_it_is_of():
    index = read_index()
    assert set(index.libraries) == {"torchvision", "timm"}
    assert sum(len(entry.architectures) for entry in index.entries) > 1400
    assert FILE.stat().st_size < 1_500_000
