"""The three pages in a real browser: both languages, wide and narrow, light and dark, live."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect

from cloud_sink.text import LANGUAGES
from telemetry import ManualClock
from tests.cloud_sink.browsing import PATHS, THEMES, Theme, centre_at_noon, chromium, watched_page
from tests.cloud_sink.school_day import OUTAGE, quarter_of
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, Running, running_centre, sealed, summary
from tests.support.axe import violations
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

STATIC = Path(__file__).parents[2] / "cloud_sink" / "static"
PAPER = {"light": "rgb(251, 250, 247)", "dark": "rgb(20, 22, 26)"}
FIRST_EPOCH_SENT = 18


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with centre_at_noon(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def watched(browser: Browser) -> Iterator[Page]:
    with watched_page(browser) as page:
        yield page


def watchers(centre: Running, count: int) -> None:
    """Wait until so many pages are told of changes."""
    wait_until(lambda: centre.get("/api/v1/health")["watchers"] == count, what=f"{count} watchers")


def check(page: Page, language: str, width: int) -> None:
    """The page is whole: language, headline, charts drawn, nothing to scroll sideways, nothing axe finds."""
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("h1")).to_be_visible()
    for plot in page.locator("[data-chart]").all():
        expect(plot.locator("canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


@pytest.mark.parametrize(("language", "theme", "width"), list(itertools.product(LANGUAGES, THEMES, (1440, 390))))
def test_a_walk_from_the_district_to_a_room(
    browser: Browser, centre: Running, language: str, theme: Theme, width: int
) -> None:
    """Overview, School, Room, by clicking what is worst."""
    with watched_page(browser, theme=theme, width=width) as page:
        page.goto(f"{centre.url}/?lang={language}")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == PAPER[theme]
        check(page, language, width)
        page.locator("#schools a").first.click()
        page.wait_for_url("**/school/cn-002")
        check(page, language, width)
        page.locator("#grid a").first.click()
        page.wait_for_url("**/room/a-101")
        check(page, language, width)


@pytest.mark.parametrize(("language", "width"), list(itertools.product(LANGUAGES, (1440, 390))))
def test_what_left_is_one_click_from_the_school(browser: Browser, centre: Running, language: str, width: int) -> None:
    with watched_page(browser, width=width) as page:
        page.goto(f"{centre.url}{PATHS['school']}?lang={language}")
        page.locator("a[href$='/left']").click()
        page.wait_for_url("**/left")
        check(page, language, width)


def test_no_line_of_a_headline_ends_within_a_code(browser: Browser, centre: Running) -> None:
    """On a phone, where the first code would not fit behind the words before it."""
    with watched_page(browser, width=390) as page:
        page.goto(f"{centre.url}/?lang=en")
        codes = page.locator("#headline .code")
        assert codes.all_text_contents() == ["A-101", "A-102", "A-103"]
        assert codes.evaluate_all("codes => codes.map(code => code.getClientRects().length)") == [1, 1, 1]
        assert codes.evaluate_all("codes => codes.map(code => code.offsetHeight)") == [25, 25, 25]


@pytest.mark.parametrize("path", [*PATHS.values(), f"{PATHS['school']}/left"])
def test_no_column_of_a_table_shrinks_to_single_characters(browser: Browser, centre: Running, path: str) -> None:
    """Between Chinese characters a line may end anywhere: on a phone, nothing else would keep a column wide."""
    with watched_page(browser, width=390) as page:
        page.goto(f"{centre.url}{path}?lang=zh-CN")
        cells = page.locator("tbody :is(th, td):visible").filter(has_text=re.compile("[一-鿿]{4}"))
        widths = cells.evaluate_all("cells => cells.map(cell => cell.clientWidth)")
        assert all(width >= 60 for width in widths), widths


@pytest.mark.parametrize("query", ["?days=7", "?step=60", "?day=2025-10-11", "?wall=1"])
def test_a_room_can_be_looked_at_in_other_ways(watched: Page, centre: Running, query: str) -> None:
    watched.goto(f"{centre.url}{PATHS['room']}{query}")
    check(watched, "en", 1440)


def test_the_keyboard_reaches_the_content_first_and_then_the_worst_room(watched: Page, centre: Running) -> None:
    watched.goto(f"{centre.url}{PATHS['school']}?lang=en")
    watched.keyboard.press("Tab")
    expect(watched.locator(".skip")).to_be_focused()
    outline = watched.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    watched.keyboard.press("Enter")
    expect(watched.locator("main")).to_be_focused()
    for _ in range(2):
        watched.keyboard.press("Tab")
    expect(watched.locator("#grid a").first).to_be_focused()
    watched.keyboard.press("Enter")
    watched.wait_for_url("**/room/a-101")


def test_values_change_on_all_three_pages_when_a_batch_arrives(watched: Page, tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS + QUARTER_MS)
    with running_centre(tmp_path, clock) as centre:
        centre.write(summary(room="a-101", device="co2-a-101", fields={"mean": 640}))
        pages = [watched, watched.context.new_page(), watched.context.new_page()]
        for page, path in zip(pages, PATHS.values(), strict=True):
            page.goto(f"{centre.url}{path}?lang=en")
        room = pages[2]
        expect(room.locator("#tiles")).to_contain_text("640")
        # "No more" is told only by a change: wait until all three are watching.
        watchers(centre, 3)
        clock.now_ms += QUARTER_MS
        later = summary(room="a-101", device="co2-a-101", start_ms=NOON_MS + QUARTER_MS, fields={"mean": 1430})
        centre.write(later, sequence=2)
        expect(room.locator("#tiles")).to_contain_text("1\u202f430")
        expect(room.locator("#headline")).to_contain_text("12:15")
        expect(pages[1].locator("#grid")).to_contain_text("1\u202f430")
        expect(pages[0].locator("#headline")).to_contain_text("A-101")
        room.locator("details summary").first.click()
        expect(room.locator("#rows-carbon_dioxide")).to_contain_text("1\u202f430")
        for page in pages:
            page.goto("about:blank")


def test_an_outage_is_a_gap_that_fills_when_it_heals(watched: Page, tmp_path: Path) -> None:
    """The hour in which the agent was cut off is hatched with that reason; what it sends afterwards fills it."""
    with centre_at_noon(tmp_path) as centre:
        watched.goto(f"{centre.url}{PATHS['room']}?lang=en")
        words, rows = watched.locator("#span-carbon_dioxide"), watched.locator("#rows-carbon_dioxide")
        expect(words).to_contain_text("09:00\N{EN DASH}10:00 (agent offline)")
        gaps = "JSON.parse(document.getElementById('data-carbon_dioxide').textContent).gaps.map((gap) => gap[2])"
        assert watched.evaluate(gaps) == ["agent offline", "agent offline"]
        watchers(centre, 1)
        missing = [told for quarter in OUTAGE for told in quarter_of(quarter)]
        assert centre.post(sealed(*missing), FIRST_EPOCH_SENT + 1).status_code == 204
        expect(words).not_to_contain_text("09:00")
        assert watched.evaluate(gaps) == ["agent offline"]
        assert "09:15—" not in re.sub(r"\s", "", rows.inner_text())
        watched.goto("about:blank")


def test_a_page_says_when_it_is_cut_off_and_goes_on_when_a_proxy_has_its_centre_back(
    browser: Browser, tmp_path: Path
) -> None:
    """A proxy answers 502 while the centre is started again: no browser asks for a stream again then."""
    with running_centre(tmp_path) as centre, browser.new_context() as context:
        page = context.new_page()
        page.route("**/api/v1/live*", lambda route: route.fulfill(status=502), times=1)
        page.goto(f"{centre.url}/school/cn-002?lang=en")
        lost = page.locator("#asof.lost")
        expect(lost).to_contain_text("connection lost")
        expect(lost).to_have_count(0, timeout=15_000)
        watchers(centre, 1)
        page.route("**/school/cn-002*", lambda route: route.fulfill(status=502), times=1)
        centre.write(summary())
        expect(lost).to_contain_text("connection lost")
        centre.write(summary(start_ms=NOON_MS - QUARTER_MS), sequence=2)
        expect(page.locator("#grid")).to_contain_text("850", timeout=15_000)
        expect(lost).to_have_count(0)
        page.goto("about:blank")


def test_a_chart_appears_when_a_rooms_first_value_does(watched: Page, tmp_path: Path) -> None:
    with running_centre(tmp_path) as centre:
        centre.write(summary("battery", fields={"mean": 80}))
        watched.goto(f"{centre.url}/school/cn-002/room/a-301?lang=en")
        expect(watched.locator("#main")).to_contain_text("No data on this day.")
        watchers(centre, 1)
        centre.write(summary(), sequence=2)
        expect(watched.locator("[data-chart] canvas")).to_be_visible()
        expect(watched.locator("#tiles")).to_contain_text("850")
        watched.goto("about:blank")


def test_charts_of_a_room_zoom_together(watched: Page, centre: Running) -> None:
    """Dragging over one chart changes the others' pictures too; a double click brings the day back."""
    watched.goto(f"{centre.url}{PATHS['room']}?lang=en")
    other = watched.locator("[data-chart='data-temperature'] canvas")
    picture = "(canvas) => canvas.toDataURL()"
    whole = other.evaluate(picture)
    over = watched.locator("[data-chart='data-carbon_dioxide'] .u-over")
    box = over.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    watched.mouse.move(box["x"] + box["width"] * 0.3, middle)
    watched.mouse.down()
    watched.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=4)
    watched.mouse.up()
    changed = "([canvas, before]) => canvas.toDataURL() !== before"
    watched.wait_for_function(changed, arg=[other.element_handle(), whole])
    zoomed = other.evaluate(picture)
    over.dblclick()
    watched.wait_for_function(changed, arg=[other.element_handle(), zoomed])


def test_the_pages_work_without_scripts(browser: Browser, centre: Running) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{centre.url}{PATHS['room']}?lang=en")
        expect(page.locator("#tiles")).to_contain_text("ppm")
        page.locator("details summary").first.click()
        expect(page.locator("#rows-carbon_dioxide")).to_contain_text("ppm")


def test_texts_and_lines_are_legible_in_both_themes() -> None:
    """WCAG 2.1: 4.5 to 1 for text (1.4.3), 3 to 1 for the lines of a chart (1.4.11)."""
    css = (STATIC / "style.css").read_text(encoding="utf-8").split("* { box")[0]
    script = (STATIC / "charts.js").read_text(encoding="utf-8")
    for theme, lines in zip(css.split("@media (prefers-color-scheme: dark)"), ("LIGHT", "DARK"), strict=True):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for name in ("ink", "muted", "accent", "act", "watch", "good"):
            assert contrast(colours[name], colours["paper"]) >= 4.5, name
        drawn = re.search(rf"const {lines} = \[(.*)\]", script)
        assert drawn is not None
        for colour in re.findall(r"#\w{6}", drawn[1]):
            assert contrast(colour, colours["paper"]) >= 3, colour


def contrast(first: str, second: str) -> float:
    """WCAG 2.1, "contrast ratio"."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2.1, "relative luminance"."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
