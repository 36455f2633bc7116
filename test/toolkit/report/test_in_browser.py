"""Reports in a real browser, headless Chromium, without a network: what a reader does with the mouse and the keyboard.

Without Chromium or Playwright the tests are skipped.
"""

import os
import re
import shutil

import pytest

from pysot.toolkit.report.html_report import write_report
from report_sets import EVIL, scores_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install playwright")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
EVIL_NAME = EVIL.replace("/", "_")
NAMES = ("worse", EVIL, "跟踪器", "ראשון", "x" * 200, *(f"tracker {number}" for number in range(17)))
PHONE, DESKTOP = {"width": 390, "height": 800}, {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Return the report of 22 trackers in one file and in a folder; a frame is missing and one is damaged."""
    folder = tmp_path_factory.mktemp("reports")
    scores = scores_of(folder, NAMES, ("b", "a", "c", *(f"sequence {number}" for number in range(8))), True)
    frames = sorted((folder / "frames").iterdir())
    os.unlink(frames[1])
    frames[2].write_bytes(b"no image")
    return write_report(folder / "out.html", scores, {}), write_report(folder / "out", scores, {}) / "index.html"


@pytest.fixture(params=["file", "folder"])
def report(request, reports):
    return reports[request.param == "folder"]


@pytest.fixture
def open_page(browser):
    """Return a function that opens a page; at the end nothing was loaded from elsewhere, and no error was logged."""
    complaints, contexts = [], []

    def open_it(path, viewport=DESKTOP, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: check_request(request.url))
        page.goto(path.as_uri())
        page.get_by_role("heading", name="Plots").scroll_into_view_if_needed()
        page.locator(".chart .plot-container").first.wait_for()
        return page

    def check_request(url):
        if not url.startswith(("file:", "data:", "blob:")):
            complaints.append(f"left the page: {url}")

    yield open_it
    for context in contexts:
        context.close()
    # frames that are missing or damaged are expected, and said on the page
    assert [text for text in complaints if "net::ERR_FILE_NOT_FOUND" not in text] == []


def section(page, title):
    return page.locator("section", has=page.get_by_role("heading", name=title, exact=True))


def column(table, number):
    return table.locator(f"tbody tr:not([hidden]) > :nth-child({number})").all_inner_texts()


def test_sorting(open_page, report):
    """By a click and by Enter; numbers as numbers, names with numbers in them in their order."""
    table = section(open_page(report), "Ranking").locator("table")
    head = table.get_by_role("button", name="EAO", exact=True)
    head.click()
    down = [float(text) for text in column(table, 2)]
    head.press("Enter")
    up = [float(text) for text in column(table, 2)]
    assert down == sorted(down, reverse=True) and up == down[::-1] and len(set(up)) > 2
    assert table.locator("th[aria-sort=ascending]").inner_text().startswith("EAO")
    table.get_by_role("button", name="tracker", exact=True).click()
    names = [name for name in column(table, 1) if name.startswith("tracker ")]
    assert names == [f"tracker {number}" for number in range(17)]


def test_filter_and_copy(open_page, report):
    page = open_page(report)
    table = section(page, "Sequences")
    table.get_by_role("searchbox").fill("SEQUENCE 1")
    assert column(table, 1) == ["sequence 1"]
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    table.get_by_role("button", name="copy as csv").click()
    lines = page.evaluate("window.copied").splitlines()
    assert len(lines) == 2 and lines[1].startswith("sequence 1,40,") and '"' in lines[0]
    section(page, "Ranking").get_by_role("button", name="copy as LaTeX").click()
    written = page.evaluate("window.copied")
    assert written.startswith("\\begin{tabular}{lrrrrrrr}\n\\hline\ntracker & EAO") and r"'\&" in written
    assert table.get_by_role("status").inner_text() == "copied"


def test_values_are_shown_under_the_pointer(open_page, report):
    page = open_page(report)
    chart = page.get_by_role("figure", name="SET: EAO", exact=True)
    chart.locator(".scatterlayer .point").first.hover(force=True)
    label = chart.locator(".hoverlayer .hovertext")
    label.first.wait_for()
    assert "expected average overlap" in label.first.text_content()


def visible(page, name):
    return page.evaluate(
        "name => document.querySelector(`[aria-label='${name}']`).data.filter(t => t.visible).map(t => t.meta)", name
    )


def test_trackers_are_switched_off_and_on(open_page, report):
    page = open_page(report)
    box = page.get_by_role("group", name="Trackers in the plots").get_by_role("checkbox").nth(1)
    assert 1 in visible(page, "SET: EAO")
    box.focus()
    page.keyboard.press("Space")
    for name in ("SET: EAO", "SET: expected overlap"):
        assert 1 not in visible(page, name) and 0 in visible(page, name)
    box.check()
    assert 1 in visible(page, "SET: EAO")


def open_sequence(page, report, name):
    page.get_by_role("link", name=name, exact=True).click()
    player = page.locator("details[open] .player" if report.name == "out.html" else ".player").first
    player.locator("input[type=range]").focus()
    return player


def test_frames_are_played(open_page, report):
    page = open_page(report)
    player = open_sequence(page, report, "c")
    player.locator("polygon").first.wait_for(state="attached")
    for number in (2, 3):  # missing, and damaged
        page.keyboard.press("ArrowRight")
        player.get_by_text(f"Frame {number} is missing or damaged.").wait_for()
        assert player.locator("polygon").count() == 0
    page.keyboard.press("ArrowRight")
    player.locator("polygon").nth(len(NAMES)).wait_for(state="attached")
    assert player.locator("polygon").count() == 1 + len(NAMES)  # the ground truth and all trackers
    page.get_by_role("checkbox").nth(1).click()
    assert player.locator("polygon").count() == len(NAMES) and player.locator("output").inner_text() == "4"
    player.get_by_role("button", name="play").click()
    player.locator("output").filter(has_not_text=re.compile("^4$")).wait_for()


def test_names_cannot_inject_markup(open_page, report):
    page = open_page(report)
    assert page.title().startswith("SET, ") and page.get_by_text(EVIL_NAME).count() >= 1
    page.get_by_role("figure", name="SET: EAO", exact=True).locator(".scatterlayer .point").first.hover(force=True)
    assert page.title().startswith("SET, ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_and_the_dark(open_page, report, scheme):
    page = open_page(report, PHONE, color_scheme=scheme)
    open_sequence(page, report, "c")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    paper, ink = (page.evaluate(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color"))
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (paper, ink)]
    assert (brightness[0] > brightness[1]) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(open_page, report, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here")
    page = open_page(report, color_scheme=scheme)
    assert serious_findings(axe, page) == []
    open_sequence(page, report, "c")
    assert serious_findings(axe, page) == []


def serious_findings(axe, page):
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    return [(each["id"], each["nodes"][0]["html"][:200]) for each in found if each["impact"] != "minor"]
