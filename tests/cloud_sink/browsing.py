"""A centre with a school day in it, and a browser that tolerates no error and no request off the loopback."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

from bansui.assets import fetch
from telemetry import ManualClock
from tests.cloud_sink.school_day import (
    AFTERNOON,
    FROM_QUARTER,
    HOURS,
    OUTAGE,
    TIMETABLE,
    dust_of,
    health,
    quarter_of,
)
from tests.cloud_sink.support import CONFIG, NOON_MS, QUARTER_MS, Running, report, running_centre, sealed
from tests.support.programs import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, ViewportSize

Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")
PATHS: Final = {"overview": "/", "school": "/school/cn-002", "room": "/school/cn-002/room/a-101"}
_NAMED: Final = 'name_en = "Second Primary School"\n'


@contextlib.contextmanager
def centre_at_noon(folder: Path) -> Iterator[Running]:
    """A centre that was told a morning as it went by, but for the hour of the outage."""
    fetch()
    clock = ManualClock(NOON_MS)
    with running_centre(folder, clock, CONFIG.replace(_NAMED, _NAMED + TIMETABLE)) as centre:
        for sequence, quarter in enumerate((q for q in range(FROM_QUARTER, 0) if q not in OUTAGE), start=1):
            clock.now_ms = NOON_MS + (quarter + 1) * QUARTER_MS + 150_000
            told = [*quarter_of(quarter), *health()] if quarter == -1 else quarter_of(quarter)
            assert centre.post(sealed(*told), sequence).status_code == 204
        clock.now_ms = NOON_MS + 240_000
        said = report(time_ms=NOON_MS, stored_minutes=2, room_minutes=71 * 1440, clock_offset_ms=20, version=100)
        centre.report(said, -FROM_QUARTER - len(OUTAGE) + 1)
        yield centre


@contextlib.contextmanager
def centre_at_night(folder: Path) -> Iterator[Running]:
    """The same at ten in the evening, after an afternoon of lessons; of the evening dust alone is told."""
    with centre_at_noon(folder) as centre:
        assert isinstance(centre.clock, ManualClock)
        sequence = -FROM_QUARTER - len(OUTAGE) + 2
        afternoon = [summary for quarter in AFTERNOON for summary in quarter_of(quarter)]
        assert centre.post(sealed(*afternoon), sequence).status_code == 204
        sequence += 1
        for hour in range(10):
            centre.clock.now_ms = NOON_MS + (hour + 1) * 4 * QUARTER_MS + 150_000
            assert centre.post(sealed(*dust_of(hour)), sequence + 2 * hour).status_code == 204
            centre.report(report(time_ms=centre.clock.now_ms, version=100, **HOURS), sequence + 2 * hour + 1)
        yield centre


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; where there is no graphics card it would reckon as if it were one."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM.find(), args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@contextlib.contextmanager
def watched_page(browser: Browser, *, theme: Theme = "light", width: int = 1440) -> Iterator[Page]:
    """A page on which any message of the console, any error, and any request off the loopback is a failure."""
    faults: list[str] = []

    def check_host(url: str) -> None:
        if urlsplit(url).scheme in ("http", "https", "ws") and urlsplit(url).hostname != "127.0.0.1":
            faults.append(f"request to {url}")

    viewport: ViewportSize = {"width": width, "height": 900}
    with browser.new_context(reduced_motion="reduce", color_scheme=theme, viewport=viewport) as context:
        page = context.new_page()
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: check_host(request.url))
        yield page
        page.goto("about:blank")
    assert faults == []
