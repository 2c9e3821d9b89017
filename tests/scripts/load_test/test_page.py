"""The parts of a page: well-formed, and with nothing of what it shows taken for a part of it."""

from xml.etree import ElementTree as ET

import pytest

from statehouse.scripts.load_test.page import chart, facts, heading, note, page, section, table, tiles

EVIL = "<script>alert('&\")</script>"
PARTS = {
    "heading": heading(EVIL, EVIL),
    "tiles": tiles([(EVIL, EVIL, "good")]),
    "note": note(EVIL, "bad"),
    "section": section(EVIL, "", keys=[("c0", EVIL)], remark=EVIL),
    "table": table([EVIL], [[EVIL]]),
    "facts": facts({EVIL: EVIL}),
}


def parse(part: str) -> ET.Element:
    return ET.fromstring(f"<x>{part}</x>")


@pytest.mark.parametrize("name", PARTS)
def test_words_are_words_whatever_they_say(name: str) -> None:
    tree = parse(PARTS[name])
    assert not list(tree.iter("script"))
    assert EVIL in "".join(tree.itertext())


def test_a_page_is_whole_and_loads_nothing() -> None:
    whole = page(EVIL, [heading("A"), chart("<svg/>")])
    assert whole.startswith("<!DOCTYPE html>\n<html")
    tree = ET.fromstring(whole.partition("\n")[2])
    assert tree.findtext("head/title") == EVIL
    assert tree.findtext("head/style")
    assert tree.findtext("body/main/h1") == "A"
    assert not {"link", "script", "img"} & {element.tag for element in tree.iter()}
    assert "url(" not in whole
    assert "@import" not in whole


def test_a_table_s_first_columns_are_text_and_its_sums_stand_out() -> None:
    tree = parse(table(["A", "B", "C"], [["1", "2", "3"], ["4", "5", "6"]], texts=2, sums={1}))
    rows = list(tree.iter("tr"))
    assert [cell.get("class") for cell in rows[0]] == ["t", "t", None]
    assert [cell.get("class") for cell in rows[2]] == ["t", "t", None]
    assert [row.get("class") for row in rows] == [None, None, "sum"]
    assert [cell.text for cell in rows[1]] == ["1", "2", "3"]


def test_a_row_has_as_many_cells_as_there_are_headings() -> None:
    with pytest.raises(ValueError, match="shorter"):
        table(["A", "B"], [["1"]])


def test_the_key_of_an_area_is_a_box() -> None:
    tree = parse(section("T", "<p/>", keys=[("c0", "line"), ("bad", "failed"), ("band", "swap")]))
    assert [mark.get("class") for mark in tree.iter("i")] == [None, "box", "box"]
    assert [key.get("class") for key in tree.iter("span")] == ["key c0", "key bad", "key band"]


def test_what_is_not_said_has_no_place() -> None:
    assert "<p" not in heading("T")
    assert "<p" not in section("T", "")
    assert facts({}) == "<table></table>"
