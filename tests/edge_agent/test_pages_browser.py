"""The agent's pages and the printed label in a real browser: both languages, wide, narrow, dark, and on A5 paper."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest
import zxingcpp
from playwright.sync_api import Browser, expect

from edge_agent.config_file import load
from edge_agent.local.words import LANGUAGES, TAGS
from tests.cloud_sink.browsing import THEMES, Theme, chromium, watched_page
from tests.edge_agent.harness import HOUR
from tests.edge_agent.looking import Looking, served
from tests.edge_agent.test_label import DEVICES, run
from tests.support.axe import violations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

A5_PX = (148 / 25.4 * 96, 210 / 25.4 * 96)
"""At the 96 dots to an inch of CSS."""


FULL_ROOM = """
[[room]]
code = "b-101"
building = "b"
[[device]]
id = "qx-full"
room = "b-101"
role = "room_sensor"
driver = "zigbee2mqtt"
mqtt = { topic = "zigbee2mqtt/qx-full" }
[[device]]
id = "qx-screen"
room = "b-101"
role = "display"
driver = "pjlink"
tcp = { host = "127.0.0.1", port = 4353 }
"""
"""A room in which all is sensed that these two drivers can read."""


class Visited:
    """The pages at ten o'clock, with an hour of data, where a browser finds them."""

    def __init__(self, looking: Looking, url: str) -> None:
        self.looking = looking
        self.url = url

    @property
    def paths(self) -> list[str]:
        return [
            "/",
            "/new",
            "/rooms/a-301/label",
            *(f"/light/{token}" for token in self.looking.pages._tokens),
            "/nothing",
        ]


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    looking = Looking(tmp_path_factory.mktemp("visited") / "school")
    looking.live(61, co2=1200)
    with served(looking.pages) as url:
        yield Visited(looking, url)
    looking.bench.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize(("language", "theme", "width"), list(itertools.product(LANGUAGES, THEMES, (1200, 360))))
def test_every_page_is_whole(browser: Browser, visited: Visited, language: str, theme: Theme, width: int) -> None:
    """In its language, with nothing to scroll sideways, nothing axe finds, and nothing the page's own policy blocks."""
    with watched_page(browser, theme=theme, width=width) as page:
        for path in visited.paths[:-1]:
            page.goto(f"{visited.url}{path}?lang={language}")
            expect(page.locator("html")).to_have_attribute("lang", TAGS[language])
            expect(page.locator("h1").first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("system-ui")
            assert violations(page) == []


def test_one_click_to_a_rooms_label_and_to_the_other_language(browser: Browser, visited: Visited) -> None:
    with watched_page(browser) as page:
        page.goto(f"{visited.url}/?lang=en")
        page.get_by_role("link", name="A-301").click()
        expect(page.locator("h1")).to_have_text("Building A, room A-301")
        page.get_by_role("link", name="中文").click()
        expect(page.locator("h1")).to_have_text("A 楼 A-301")


def test_a_printed_label_fits_a_sheet_of_a5_and_its_codes_can_be_read(browser: Browser, tmp_path: Path) -> None:
    """One sheet for each room and language, as paper has it; a phone finds both addresses in it."""
    looking = Looking(tmp_path)
    looking.config.write_text(looking.config.read_text() + DEVICES + FULL_ROOM)
    target = tmp_path / "labels.html"
    code, _ = run(looking.config, "--output", str(target))
    assert code == 0
    rooms = len(load(looking.config).tables.room)
    with watched_page(browser) as page:
        page.goto(target.as_uri())
        pdf = page.pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type /Page\n", pdf)) == 2 * rooms
        [size] = {
            tuple(float(each) for each in box.split()) for box in re.findall(rb"/MediaBox \[0 0 ([\d. ]+)\]", pdf)
        }
        assert size == pytest.approx([each * 72 / 96 for each in A5_PX], abs=1)
        page.emulate_media(media="print")
        page.set_viewport_size({"width": round(A5_PX[0]), "height": round(A5_PX[1])})
        shown = page.locator("article").first.locator(".address").all_inner_texts()
        page.locator("article").first.screenshot(path=tmp_path / "label.png")
        page.goto((tmp_path / "label.png").as_uri())
        pixels, width, height = page.evaluate(_PIXELS)
    found = zxingcpp.read_barcodes(memoryview(bytes(pixels)).cast("B", (height, width)))
    assert sorted(each.text for each in found) == sorted(shown)
    assert len(shown) == 2
    looking.bench.stop()


_PIXELS = """() => {
    const image = document.images[0], canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    return [Array.from(data).filter((_, index) => index % 4 === 1), canvas.width, canvas.height];
}"""
"""The green of each pixel: the label is black on white."""


def test_the_light_shows_its_state_large(browser: Browser, visited: Visited) -> None:
    """By shape, word and colour; outside timetable hours none of them."""
    address = visited.url + visited.paths[3]
    with watched_page(browser, width=360) as page:
        page.goto(f"{address}?lang=en")
        expect(page.locator("h1")).to_have_text("act")
        expect(page.locator(".do")).to_have_text("Open a window.")
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(179, 38, 30)"
        clock = visited.looking.bench.clock
        clock.now_ms += 12 * HOUR
        page.goto(f"{address}?lang=en")
        expect(page.locator("h1")).to_have_text("Outside timetable hours")
        clock.now_ms -= 12 * HOUR
