from statehouse.scripts.traffic.growing import Growing


def test_a_count_goes_on_when_what_counts_begins_anew() -> None:
    growing: Growing[str] = Growing()
    seen = []
    for reading in (3, 5, 1, 1, 4):
        growing.take({"a": reading})
        seen.append(growing["a"])
    assert seen == [3, 5, 6, 6, 9]


def test_what_is_not_read_any_more_is_kept_and_what_never_was_is_zero() -> None:
    growing: Growing[str] = Growing()
    growing.take({"a": 2, "b": 1})
    growing.take({"b": 1})
    assert (growing["a"], growing["b"], growing["c"]) == (2, 1, 0)
    assert set(growing) == {"a", "b"}


def test_what_is_not_kept_is_forgotten() -> None:
    growing: Growing[str] = Growing()
    for reading in (3, 1):
        growing.take({"a": reading, "b": reading})
    growing.keep(lambda key: key == "b")
    assert list(growing) == ["b"]
    assert (growing["a"], growing["b"]) == (0, 4)
