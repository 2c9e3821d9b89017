"""Debian's Chromium, and what goes on in a page of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, sync_playwright

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PATIENCE_MS = 60_000  # on a busy machine

OpenPage = Callable[..., "Watched"]


class Watched:
    """A page; `complaints` are its errors and the browser's own, `hosts` all that it asked anything of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: self.complaints.append(said.text) if said.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def _asked(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "blob":  # made by the page itself
            self.hosts.add(url.netloc)

    def visit(self, url: str) -> Page:
        """Go to the console, and wait until it shows what serves."""
        self.page.goto(url)
        self.page.locator("#state[data-kind]").wait_for()
        return self.page


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with a new, empty profile."""
    found = shutil.which("chromium")
    assert found, "Chromium is not installed: run `make test-deps`."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def watched_page(browser: Browser, **options: Any) -> Iterator[Watched]:
    """A page in a profile of its own."""
    context = browser.new_context(**options)
    yield Watched(context.new_page())
    context.close()
