"""The three pages in a real browser: both languages, wide and narrow, light and dark, live."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bansui.assets import fetch
from cloud_sink.text import LANGUAGES
from telemetry import ManualClock
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, Running, report, running_centre, summary
from tests.support.programs import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry import Summary

pytestmark = pytest.mark.browser

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
PATHS = {"overview": "/", "school": "/school/cn-002", "room": "/school/cn-002/room/a-301"}
WIDTHS = (1440, 390)
ROOMS = ("a-301", "a-302", "a-303", "a-304", "b-101", "b-102")
LEVELS = {
    "carbon_dioxide": (550, 600),
    "temperature": (2050, 250),
    "humidity": (450, 60),
    "pm25": (180, 90),
    "sound_pressure": (420, 150),
    "illuminance": (320, 260),
}


def morning() -> Iterator[Summary]:
    """A school from 07:00 to 12:00, with an hour missing in one room and another that fell silent."""
    for index, room in enumerate(ROOMS):
        for quarter in range(-20, 0):
            if (room == "a-301" and -12 <= quarter < -8) or (room == "b-102" and quarter > -14):
                continue
            wave = (1 + math.sin(quarter / 3 + index)) / 2
            for quantity, (base, swing) in LEVELS.items():
                told = base + int(swing * wave * (1 - index / 8))
                fields = {"mean": told, "n": 15, "expected": 15}
                device = f"{quantity.replace('_', '-')}-{room}"
                yield summary(quantity, NOON_MS + quarter * QUARTER_MS, fields, room=room, device=device)
    yield summary("energy", NOON_MS - QUARTER_MS, {"delta": 1234}, device="meter-a-301", channel="l1")
    yield summary("battery", NOON_MS - QUARTER_MS, {"mean": 87}, device="vr-a-301-1")


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    fetch()
    clock = ManualClock(NOON_MS + 60_000)
    with running_centre(tmp_path_factory.mktemp("browser"), clock) as running:
        running.write(*morning())
        running.report(report(time_ms=NOON_MS, stored_minutes=2, room_minutes=71 * 1440, clock_offset_ms=20), 2)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM.find(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Page]:
    """A page on which any error, and any request off the loopback, fails the test."""
    faults: list[str] = []

    def check_host(url: str) -> None:
        if urlsplit(url).scheme in ("http", "https", "ws") and urlsplit(url).hostname != "127.0.0.1":
            faults.append(f"request to {url}")

    with browser.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: check_host(request.url))
        yield page
    assert faults == []


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PATHS)
def test_a_page_shows_without_errors_and_without_scrolling_sideways(
    watched: Page, centre: Running, name: str, language: str, width: int
) -> None:
    watched.set_viewport_size({"width": width, "height": 900})
    watched.goto(f"{centre.url}{PATHS[name]}?lang={language}")
    expect(watched.locator("html")).to_have_attribute("lang", language)
    expect(watched.locator("h1")).to_be_visible()
    for plot in watched.locator("[data-chart]").all():
        expect(plot.locator("canvas")).to_be_visible()
    shoot(watched, f"{name}-{language}-{width}")
    assert watched.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PATHS)
def test_a_page_follows_the_dark_theme(watched: Page, centre: Running, name: str) -> None:
    watched.emulate_media(color_scheme="dark")
    watched.goto(f"{centre.url}{PATHS[name]}?lang=en")
    background = watched.evaluate("getComputedStyle(document.body).backgroundColor")
    shoot(watched, f"{name}-dark")
    assert background == "rgb(20, 22, 26)"


@pytest.mark.parametrize("language", LANGUAGES)
def test_values_change_on_all_three_pages_when_a_batch_arrives(watched: Page, tmp_path: Path, language: str) -> None:
    clock = ManualClock(NOON_MS + QUARTER_MS)
    fetch()
    with running_centre(tmp_path, clock) as centre:
        centre.write(summary(fields={"mean": 640}))
        pages = [watched, watched.context.new_page(), watched.context.new_page()]
        for page, path in zip(pages, PATHS.values(), strict=True):
            page.goto(f"{centre.url}{path}?lang={language}")
        room = pages[2]
        expect(room.locator("#tiles")).to_contain_text("640")
        # "No more" is told only by a change: wait until all three are watching.
        while centre.get("/api/v1/health")["watchers"] != 3:
            pass
        clock.now_ms += QUARTER_MS
        centre.write(summary(start_ms=NOON_MS + QUARTER_MS, fields={"mean": 1430}), sequence=2)
        expect(room.locator("#tiles")).to_contain_text("1\u2009430")
        expect(room.locator("#headline")).to_contain_text("12:15")
        expect(pages[1].locator("#rooms")).to_contain_text("1\u2009430")
        expect(pages[0].locator("#headline")).to_contain_text("A-301")
        room.locator("details summary").first.click()
        expect(room.locator("#rows-carbon_dioxide")).to_contain_text("1\u2009430")
        for page in pages:
            page.goto("about:blank")


def test_a_chart_appears_when_a_rooms_first_value_does(watched: Page, tmp_path: Path) -> None:
    fetch()
    with running_centre(tmp_path) as centre:
        watched.goto(f"{centre.url}/school/cn-002?lang=en")
        while centre.get("/api/v1/health")["watchers"] != 1:
            pass
        centre.write(summary())
        expect(watched.locator("[data-chart] canvas")).to_be_visible()
        expect(watched.locator("#rooms")).to_contain_text("850")
        watched.goto("about:blank")


def test_the_pages_work_without_scripts(browser: Browser, centre: Running) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{centre.url}/school/cn-002/room/a-301?lang=en")
        expect(page.locator("#tiles")).to_contain_text("ppm")
        page.locator("details summary").first.click()
        expect(page.locator("#rows-carbon_dioxide")).to_contain_text("ppm")


def test_the_texts_are_readable_in_both_themes() -> None:
    css = (Path(__file__).parents[2] / "cloud_sink" / "static" / "style.css").read_text(encoding="utf-8")
    themes = css.split("@media (prefers-color-scheme: dark)")
    for theme in (themes[0], themes[1].split("* { box")[0]):
        colours = dict(
            line.strip().rstrip(";").split(": ") for line in theme.splitlines() if line.strip().startswith("--")
        )
        for name in ("--ink", "--muted", "--accent", "--act", "--watch", "--good"):
            assert contrast(colours[name], colours["--paper"]) >= 4.5, name


def contrast(first: str, second: str) -> float:
    """WCAG 2.1, "contrast ratio"."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2.1, "relative luminance"."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
