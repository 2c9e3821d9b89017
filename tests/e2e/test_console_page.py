"""The console in a real browser, before a real server."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from examples import train_breast_cancer, train_digits
from playwright.sync_api import Browser, Locator, Page, expect
from tests.e2e.browser import PATIENCE_MS, Watched, chromium, watched_page
from tests.e2e.conftest import publish
from tests.e2e.server import Server

DESKTOP, PHONE, SMALL_PHONE = (
    {"width": 1280, "height": 900},
    {"width": 390, "height": 844},
    {"width": 320, "height": 568},
)
SETTINGS = {"batch_size": 8}

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """Both demo models; digits 1.1 is published and not loaded."""
    server = Server(tmp_path_factory.mktemp("console"))
    for version in ("1.0", "1.1"):
        publish(server, trained / "digits.pt", "digits", version)
    publish(server, trained / "breast_cancer.safetensors", "breast_cancer")
    models = {name: {"default": "1.0", "versions": {"1.0": SETTINGS}} for name in ("digits", "breast_cancer")}
    models["digits"] = {"default": "1.0", "versions": {"1.0": SETTINGS | {"optimizations": ["freeze"]}}}
    server.write_deployment(models=models)
    server.start()
    yield server
    server.kill_if_running()


@pytest.fixture(scope="module")
def digit(server: Server) -> tuple[Path, str]:
    """A file with a digit, and which it is as the server says."""
    file = server.folder / "digit.png"
    file.write_bytes(train_digits.to_png(train_digits.load_split().test_pixels[0]))
    return file, server.client.post("/predictions/digits", content=file.read_bytes()).json()["label"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A page that has nothing to complain of and asks nobody else, whatever the test does with it."""
    with watched_page(browser, viewport=DESKTOP) as watched:
        yield watched
        assert watched.complaints == []
        assert len(watched.hosts) == 1, watched.hosts


@pytest.fixture
def page(watched: Watched, server: Server) -> Page:
    """The console as the front serves it."""
    return watched.visit(f"{server.announced['front']}/console")


def version_of(page: Page, name: str, version: str) -> Locator:
    return page.get_by_label(f"{name} {version}", exact=True)


def chooser(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Version")


def number_of(page: Page, name: str, version: str, number: str) -> str:
    return version_of(page, name, version).locator(f'[data-number="{number}"] dd').inner_text()


def send(page: Page) -> None:
    page.get_by_role("button", name="Send").click()
    page.locator("#try-answer .status").wait_for()


def label_of(page: Page) -> str:
    return page.locator("#try-answer .verdict").inner_text()


def curl_line(page: Page) -> str:
    return page.get_by_label("curl").inner_text()


# -- what it shows


def test_it_shows_both_models_as_they_serve(page: Page, server: Server) -> None:
    for model in server.status()["models"]:
        shown = version_of(page, model["name"], model["version"])
        expect(shown).to_contain_text(model["digest"][:12])
        expect(shown.locator(".chip.default")).to_be_visible()
        expect(shown.locator(".condition")).to_have_text("ready")
        expect(shown.locator('[data-number="workers"] dd')).to_have_text("1 of 1")
        shown.get_by_text("Workers and phases").click()
        optimized = shown.get_by_text("The module is optimized: freeze.")
        expect(optimized).to_be_visible(visible=model["name"] == "digits")
        expect(shown.locator(".row-proof")).to_have_text(
            re.compile(r"\b[48] rows, batches of 2, 3, 8, 32, 0\.0001 allowed\.")
        )
        [pid] = model["workers"]["pids"]
        expect(shown.locator(".pids")).to_have_text(f"Process ids: {pid}")
        expect(shown.locator(".batches")).to_contain_text("up to 8 requests, as one batch")
        schema = shown.get_by_role("link", name="schema").get_attribute("href")
        described = server.client.get(f"/console/{schema}").json()
        assert described["digest"] == model["digest"]
    expect(page.locator("#state")).to_have_text("ready")
    expect(page.locator("#banner")).to_be_hidden()


def test_it_counts_what_is_asked_meanwhile(page: Page, server: Server, digit: tuple[Path, str]) -> None:
    page.get_by_label("since loaded").check()
    body = digit[0].read_bytes()
    before = counted(server)
    for _ in range(20):
        server.client.post("/predictions/digits", content=body)
    server.client.post("/predictions/digits", content=b"no image")
    assert counted(server) == (before[0] + 21, before[1] + 1)
    shown = version_of(page, "digits", "1.0")
    expect(shown.locator('[data-number="requests"] dd')).to_have_text(str(before[0] + 21))
    expect(shown.locator('[data-number="refused"] dd')).to_have_text(str(before[1] + 1))
    assert re.fullmatch(r"[\d.]+ (µs|ms|s)", number_of(page, "digits", "1.0", "p99"))
    expect(page.get_by_label("Model digits").locator(".chart").first).to_be_visible()
    expect(page.get_by_label("Model digits").locator("polyline").first).to_be_attached()


def counted(server: Server) -> tuple[int, int]:
    """Requests to digits 1.0, and those of them that were refused; from /metrics, which is made anew each time."""
    requests = re.compile(
        r'statehouse_requests_total\{model="digits",.*status="(\d+)",version="1\.0"\} (\S+)'
    )
    found = requests.findall(server.reader.get("/metrics").text)
    counts = [(status, int(float(count))) for status, count in found]
    return sum(count for _, count in counts), sum(count for status, count in counts if status[0] == "4")


def test_it_shows_the_last_minutes_from_the_moment_it_opens(
    browser: Browser, server: Server, digit: tuple[Path, str]
) -> None:
    for _ in range(10):
        server.client.post("/predictions/digits", content=digit[0].read_bytes())
    wanted = counted(server)[0]

    def looked() -> dict[str, Any]:
        return next(
            each for each in server.reader.get("/live").json()["versions"] if each["name"] == "digits"
        )

    deadline = time.monotonic() + 120
    while looked()["figures"]["loaded"]["requests"] < wanted:  # the server looks every 2 s
        assert time.monotonic() < deadline
        time.sleep(0.1)
    shown = []
    for _ in range(2):
        with watched_page(browser, viewport=DESKTOP) as watched:
            page = watched.visit(f"{server.announced['front']}/console")
            page.get_by_label("5 min").check()
            shown.append([number_of(page, "digits", "1.0", each) for each in ("requests", "p50", "refused")])
            assert page.get_by_label("Model digits").locator("polyline").count() >= 2  # at its first look
            assert "the last" in page.locator("#covered").inner_text()
            assert watched.complaints == []
    assert shown[0] == shown[1]
    assert int(shown[0][0]) >= 10


def test_a_figure_stays_where_it_is_whatever_it_says(page: Page) -> None:
    numbers = version_of(page, "digits", "1.0").locator("[data-number]")
    places = "all => all.map(each => [each.offsetLeft, each.offsetTop, each.offsetWidth, each.offsetHeight])"
    widths = "all => all.every(each => each.scrollWidth <= each.clientWidth)"
    say = "(all, text) => all.forEach(each => { each.querySelector('dd').textContent = text; })"
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)
        seen = []
        for text in ("–", "9,999,999", "12.3 bn", "0"):
            numbers.evaluate_all(say, text)
            seen.append(numbers.evaluate_all(places))
            assert numbers.evaluate_all(widths)
        assert seen == [seen[0]] * 4
        rows: dict[int, int] = Counter(top for _, top, _, _ in seen[0])
        assert len(set(rows.values())) == 1  # no figure alone in a row


# -- trying it


def test_an_image_is_tried(page: Page, server: Server, digit: tuple[Path, str]) -> None:
    file, label = digit
    chooser(page).select_option("digits")
    page.get_by_label("Image").set_input_files(file)
    send(page)
    assert label_of(page) == label
    answer = page.locator("#try-answer")
    expect(answer).to_contain_text("by version 1.0")
    for phase in ("queue, front and network", "decode", "preprocess", "inference", "postprocess"):
        expect(answer.locator(".legend")).to_contain_text(phase)
    assert answer_of_shell(curl_line(page), server)["label"] == label


def answer_of_shell(line: str, server: Server) -> dict[str, object]:
    done = subprocess.run(["bash", "-c", line], cwd=server.folder, check=True, capture_output=True)
    return json.loads(done.stdout)


def test_a_drawing_is_tried(page: Page) -> None:
    chooser(page).select_option("digits")
    board = page.get_by_label("Draw with a pointer")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    assert box
    page.mouse.move(box["x"] + 80, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 80, box["y"] + 140, steps=8)
    page.mouse.up()
    expect(page.locator("#try-form")).to_contain_text("drawing.png")
    send(page)
    assert label_of(page) in {str(digit) for digit in range(10)}


def test_a_form_is_made_of_the_schema_and_tried(page: Page, server: Server) -> None:
    chooser(page).select_option("breast_cancer/1.0")
    fields = page.locator("#try-form .fields input")
    split = train_breast_cancer.load_split()
    row = split.row_as_object(split.test_rows[0])
    expect(fields).to_have_count(len(row))
    for name, value in row.items():
        field = page.get_by_label(name, exact=True)
        assert field.get_attribute("type") == "number"
        field.fill(repr(value))
    expected = server.client.post("/predictions/breast_cancer", json={"inputs": row}).json()
    send(page)
    assert label_of(page) == expected["label"]
    assert answer_of_shell(curl_line(page), server)["score"] == pytest.approx(expected["score"], abs=1e-5)


def test_a_value_out_of_its_range_is_not_sent(page: Page) -> None:
    chooser(page).select_option("breast_cancer")
    field = page.get_by_label("mean_radius", exact=True)
    assert field.get_attribute("min") == "0"
    field.fill("-1")
    page.get_by_role("button", name="Send").click()
    assert page.locator("#try-form :invalid").count() == 1
    expect(page.locator("#try-answer")).to_contain_text("The answer will be here")
    page.get_by_role("button", name="Usual").click()
    send(page)


def test_without_an_input_it_says_what_is_missing(page: Page) -> None:
    chooser(page).select_option("digits")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-answer")).to_contain_text(
        "There is no image yet: choose one, drop one or draw one"
    )
    board = page.get_by_label("Draw with a pointer")
    board.scroll_into_view_if_needed()
    board.click()
    expect(page.locator("#try-form")).to_contain_text("drawing.png")
    page.get_by_role("button", name="Clear").click()  # and what was drawn is not sent after all
    expect(page.locator("#try-form")).not_to_contain_text("drawing.png")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-answer")).to_contain_text("Nothing was sent")


def test_an_embedding_is_shown_by_its_size_and_first_numbers(page: Page) -> None:
    script = """async (told) => {
        const { showAnswer } = await import("./answer.js");
        const answer = { status: 200, headers: new Headers(), text: JSON.stringify(told), seconds: 0.01 };
        showAnswer(document.getElementById("try-answer"), answer);
    }"""
    vector = [0.6, -0.8] + [0.0] * 382
    page.evaluate(script, {"embedding": vector})
    answer = page.locator("#try-answer")
    expect(answer).to_contain_text("384 numbers of length 1; the first:")
    expect(answer.locator(".outputs")).to_have_text("0.6  -0.8  0  0  0  0  0  0  …")
    page.evaluate(script, {"predictions": [{"embedding": vector}, {"embedding": [1.5]}]})
    expect(answer.locator("li").first).to_contain_text("384 numbers: 0.6  -0.8  0 …")


def test_what_is_refused_says_why(browser: Browser, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "broken.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    with watched_page(browser, viewport=DESKTOP) as watched:
        page = watched.visit(f"{server.announced['front']}/console")
        chooser(page).select_option("digits")
        page.get_by_label("Image").set_input_files(file)
        send(page)
        problem = server.client.post("/predictions/digits", content=file.read_bytes()).json()
        expect(page.locator("#try-answer")).to_contain_text(str(problem["status"]))
        expect(page.locator("#try-answer .problem")).to_contain_text(problem["detail"])
        # The browser itself says of every refusal that it is one.
        assert all("Failed to load resource" in said for said in watched.complaints)


def test_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the models"
    page.locator('input[name="window"]:checked').focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator('input[name="window"]:checked').get_attribute("value") == "10"
    select = chooser(page)
    select.focus()
    page.keyboard.type("breast")
    field = page.get_by_label("mean_radius", exact=True)
    field.wait_for()
    page.locator("#try-form:not([inert])").wait_for()
    field.focus()
    expect(field).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("#try-answer .status").wait_for()
    assert label_of(page) in ("benign", "malignant")


def test_the_reader_s_own_page_leads_to_the_front(browser: Browser, server: Server) -> None:
    with watched_page(browser, viewport=DESKTOP) as watched:
        page = watched.visit(server.announced["reader"])
        assert page.url == f"{server.announced['reader']}/console/"
        assert watched.hosts == {urlsplit(server.announced["reader"]).netloc}
        chooser(page).select_option("breast_cancer")
        page.get_by_role("link", name="Try it at the front").click()
        page.wait_for_url(f"{server.announced['front']}/console/**")
        expect(chooser(page)).to_have_value("breast_cancer")
        send(page)
        assert watched.complaints == []


# -- how it looks


@pytest.mark.parametrize("viewport", [PHONE, SMALL_PHONE], ids=["phone", "small-phone"])
def test_nothing_is_wider_than_a_phone(
    browser: Browser, server: Server, digit: tuple[Path, str], viewport
) -> None:
    with watched_page(browser, viewport=viewport, is_mobile=True, has_touch=True) as watched:
        page = watched.visit(f"{server.announced['front']}/console")
        for summary in page.locator("#models summary").all():
            summary.click()
        for name in ("digits", "breast_cancer"):
            chooser(page).select_option(name)
            if name == "digits":
                page.get_by_label("Image").set_input_files(digit[0])
            send(page)
            assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        assert watched.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_can_be_read_and_reached(
    browser: Browser, server: Server, digit: tuple[Path, str], scheme
) -> None:
    """By axe-core's rules (WCAG 2.1 AA and good practice): contrast, names, roles, order."""
    with watched_page(browser, viewport=DESKTOP, color_scheme=scheme) as watched:
        page = watched.visit(f"{server.announced['front']}/console")
        light = page.evaluate(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((c) => c > 127)"
        )
        assert light is (scheme == "light")
        for summary in page.locator("#models summary").all():
            summary.click()
        for name in ("digits", "breast_cancer"):
            chooser(page).select_option(name)
            if name == "digits":
                page.get_by_label("Image").set_input_files(digit[0])
            send(page)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


# -- changes, and what goes wrong; from here on digits 1.1 is loaded


def test_a_swap_is_in_the_journal_and_what_was_typed_stays(
    page: Page, server: Server, digit: tuple[Path, str]
) -> None:
    chooser(page).select_option("digits")
    page.get_by_label("Image").set_input_files(digit[0])
    server.run("swap", "digits", "1.1")
    latest = page.locator("#change-list > li").first
    expect(latest).to_contain_text("swap digits 1.0 → 1.1 done")
    latest.get_by_text("steps").click()
    expect(latest).to_contain_text("flip")
    expect(version_of(page, "digits", "1.1").locator(".chip.default")).to_be_visible()
    expect(version_of(page, "digits", "1.0").locator(".chip.default")).to_be_hidden()
    send(page)
    expect(page.locator("#try-answer")).to_contain_text("by version 1.1")
    assert label_of(page) == digit[1]


def damage(server: Server, folder: str) -> None:
    file = next((server.store / folder).glob("checkpoint.*"))
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_swap_that_failed_says_why(page: Page, server: Server, trained: Path) -> None:
    publish(server, trained / "digits.pt", "digits", "9.9")
    damage(server, "digits-9.9")
    serving = server.client.get("/v1/models/digits")
    assert serving.json()["ready"]
    assert server.run("swap", "digits", "9.9", check=False).returncode == 1
    latest = page.locator("#change-list > li").first
    expect(latest).to_contain_text("9.9 failed")
    expect(latest.locator(".reason")).to_contain_text("SHA-256")


def test_nothing_served_and_a_version_that_failed(
    browser: Browser, make_server: Callable[[], Server], trained: Path
) -> None:
    server = make_server()
    server.start()
    with watched_page(browser, viewport=PHONE) as watched:
        page = watched.visit(f"{server.announced['front']}/console")
        expect(page.locator("#model-list")).to_contain_text("Nothing is served yet")
        expect(page.locator("#change-list")).to_contain_text("Nothing has been changed yet")
        expect(page.locator("#try-form")).to_contain_text("No version can be tried now")
        assert watched.complaints == []
    server.stop()
    publish(server, trained / "digits.pt", "digits")
    damage(server, "digits-1.0")
    server.write_deployment(models={"digits": {"default": "1.0", "versions": {"1.0": SETTINGS}}})
    server.start()
    refused = server.client.post("/predictions/digits", content=b"any").json()
    assert refused["detail"].startswith(
        "digits 1.0, the default, has no worker: its files are not as they were"
    )
    assert "  no answers: digits 1.0, the default, has no worker" in server.run("status").stdout
    with watched_page(browser, viewport=PHONE) as watched:
        page = watched.visit(f"{server.announced['front']}/console")
        expect(page.locator("#state")).to_have_text("digits is down")
        expect(page.get_by_label("Model digits")).to_have_class(re.compile(r"\bdown\b"))
        expect(page.get_by_label("Model digits").locator("header .reason")).to_contain_text(
            "1.0, the default, has no"
        )
        expect(page.locator("#banner")).to_contain_text("SHA-256")
        expect(version_of(page, "digits", "1.0").locator(".condition")).to_have_text("failed")
        expect(version_of(page, "digits", "1.0").locator(".reason")).to_contain_text("SHA-256")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert watched.complaints == []
        server.stop()
        expect(page.locator("#state")).to_have_text("no answer")
        expect(page.locator("#banner")).to_contain_text("The server does not answer. What you see is from")
