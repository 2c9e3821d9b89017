"""The page's files as a browser gets them."""

import re
from html.parser import HTMLParser

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from statehouse.scripts.reader.console.page import FOLDER, INDEX, Page


@pytest.fixture
def client(ask):
    page = Page()
    routes = [Route("/", page.file), Route("/{file}", page.file)]
    return ask(Starlette(routes=[Mount("/console", routes=routes)]))


def test_the_policy_lets_nothing_in_from_elsewhere(client) -> None:
    answer = client.get("/console/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy["script-src"], policy["style-src"], policy["connect-src"]} == {"'self'"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
def test_every_file_has_its_type_and_is_asked_for_anew_only_when_it_has_changed(client, file) -> None:
    path = "/console/" if file.name == INDEX else f"/console/{file.name}"
    answer = client.get(path)
    assert answer.content == file.read_bytes()
    kinds = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
    assert answer.headers["content-type"].partition(";")[0] == kinds[file.suffix]
    again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nope.js", "..%2f..%2fpage.py", "%2e%2e/page.py", "page.py"])
def test_there_is_nothing_else(client, name: str) -> None:
    assert client.get(f"/console/{name}").status_code == 404


def test_what_the_page_names_is_there_and_relative() -> None:
    named = Named()
    named.feed((FOLDER / INDEX).read_text())
    for script in FOLDER.glob("*.js"):
        imported = re.findall(r'^(?:import|export) .* from "(.+)";', script.read_text(), re.MULTILINE)
        assert all(name.startswith("./") for name in imported)
        named.assets += imported
    assert len(named.assets) > 10
    for name in named.assets:
        assert (FOLDER / name).is_file(), name
    for file in FOLDER.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'`/$]+", file.read_text()))
        assert addresses <= {"http://www.w3.org"}, file.name  # the name of SVG, not a place


class Named(HTMLParser):
    """The files that a page has loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.assets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not any(name.startswith("on") or name == "style" for name in given), tag
        if tag in ("link", "script", "img"):
            self.assets.append(given.get("href") or given.get("src") or "")
