from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from cloud_sink.pages import STATIC
from cloud_sink.text import CATALOGUE, LANGUAGES, Text
from cloud_sink.wording import Wording
from telemetry import ManualClock
from tests.cloud_sink.support import CONFIG, NOON_MS, QUARTER_MS, Running, report, running_centre, summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VOID = {"meta", "link", "input", "br", "img", "hr"}
PATHS = ("/", "/school/cn-002", "/school/cn-002/room/a-301", "/school/cn-002/left")
NAMED_ROOM = """
[[room]]
school = "cn-002"
building = "b"
code = "b-101"
name_zh = "科学教室"
name_en = "Science room"
"""
DAY_MS = 24 * 3_600_000


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order, every id once."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(re.sub(r'<span class="code">([^<]*)</span>', r"\1", html))  # which reads on within its sentence
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids)), "an id stands twice"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if identity := given.get("id"):
            self.ids.append(identity)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"pre", "code"} & set(self.open):
            self.text += f" {data.strip()}" if data.strip() else ""


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A school at 12:15: one room with bad air, one with a dead sensor, one that never told anything."""
    clock = ManualClock(NOON_MS + QUARTER_MS)
    with running_centre(tmp_path_factory.mktemp("pages"), clock, CONFIG + NAMED_ROOM) as running:
        bad = [summary(start_ms=NOON_MS - n * QUARTER_MS, fields={"mean": 1450 - 250 * n}) for n in range(4)]
        other = [
            summary("temperature", fields={"mean": -50}),
            summary("smoke", NOON_MS + 60_000, {"last": 1}, window_s=1, device="smoke-1"),
            summary("energy", fields={"delta": 12_345_678}, device="meter", channel="l1"),
            summary("occupancy", fields={"on_permille": 125}, device="pir"),
            summary("fault", fields={"last": 2}, device="pir"),
        ]
        dead = summary(start_ms=NOON_MS - 20 * QUARTER_MS, room="a-302", device="co2-a-302", fields={"mean": 600})
        running.write(*bad, *other, dead)
        yield running


def page(centre: Running, path: str, language: str = "en") -> Page:
    answer = centre.client.get(path, params={"lang": language})
    assert answer.status_code == 200
    return Page(answer.text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_whole_html_in_its_language_without_inline_code_or_foreign_hosts(
    centre: Running, path: str, language: str
) -> None:
    shown = page(centre, path, language)
    tags = [tag for tag, _ in shown.elements]
    assert ("html", {"lang": language}) in shown.elements
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    for tag, attributes in shown.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert tag != "style"
        assert tag != "script" or attributes["src"]
        for name in ("src", "href"):
            assert not (attributes.get(name) or "/").startswith(("http:", "https:", "//"))
    keys = [key for key in CATALOGUE[language] if "." in key]
    assert [key for key in keys if re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.])", shown.text)] == []
    assert "{" not in shown.text


@pytest.mark.parametrize("path", PATHS)
def test_a_chinese_page_has_no_english_words_left(centre: Running, path: str) -> None:
    shown = page(centre, path, "zh-CN")
    said = re.sub(r"https://\S+|\[school.timetable\]|centre.toml|\[uplink\]|bansui buffer show", "", shown.text)
    words = set(re.findall(r"[A-Za-z]{3,}", said)) - {"English", "ppm", "edge", "smoke", "meter", "pir", "strict"}
    assert words <= {"kWh", "CSV"}, words


def test_the_overview_answers_in_its_first_line_and_puts_the_worst_school_first(centre: Running) -> None:
    shown = page(centre, "/").text
    assert "1 of 3 rooms are fresh. A-301 needs air since 11:45." in shown
    assert shown.index("Second Primary School 1/3") < shown.index("No. 14 Middle School")
    assert "Alerts smoke: Second Primary School A-301, since 12:01" in shown


def test_a_school_lists_its_rooms_worst_first_each_number_with_time_and_freshness(centre: Running) -> None:
    shown = page(centre, "/school/cn-002").text
    rooms = shown[shown.index("Rooms, worst first") :]
    assert rooms.index("A-301") < rooms.index("Science room") < rooms.index("A-302")
    assert "1\u202f450\u202fppm ● fresh 12:00 · 15\u202fmin" in rooms
    assert "600\u202fppm ○ stale 07:00 · 15\u202fmin" in rooms
    assert "✕ no data" in rooms
    assert "needs air" in rooms


def test_a_room_tells_its_numbers_its_day_and_everything_else_in_a_table(centre: Running) -> None:
    shown = page(centre, "/school/cn-002/room/a-301").text
    assert "A-301: CO2 1\u202f450\u202fppm at 12:00, fresh. A-301 needs air since 11:45." in shown
    assert "\N{MINUS SIGN}0.50\u202f°C" in shown
    assert "energy meter/l1 12\u202f345.678\u202fkWh 12:00 15\u202fmin ● fresh" in shown
    assert "occupancy pir 12.5\u202f% of the time" in shown
    assert "fault pir error" in shown
    table = shown[shown.index("Table: CO2") : shown.index("Table: temperature")]
    assert "00:00 —" in table
    assert "11:15 700\u202fppm" in table
    assert "11:30 950\u202fppm" in table
    assert "12:00 1\u202f450\u202fppm" in table
    assert "12:15" not in table, "the future is no gap"


def test_another_day_is_shown_with_its_date_and_nothing_of_today(centre: Running) -> None:
    answer = centre.client.get("/school/cn-002/room/a-301", params={"lang": "en", "day": "2025-10-11"})
    shown = Page(answer.text)
    assert "No data on this day." in shown.text
    assert "2025-10-11" in shown.text
    again = centre.client.get("/school/cn-002/room/a-301", params={"day": "yesterday<script>"})
    assert again.status_code == 200
    assert "yesterday" not in again.text


def test_a_room_whose_device_was_moved_is_judged_no_more_and_its_past_stays(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS + 30 * QUARTER_MS)
    moved = summary(room="a-302", start_ms=NOON_MS + 29 * QUARTER_MS)
    smoke = summary("smoke", fields={"last": 1}, window_s=1)
    paths, shown = ("/", "/school/cn-002", "/school/cn-002/room/a-301"), []
    with running_centre(tmp_path, clock) as centre:
        for sequence, told in enumerate((summary(), smoke, moved, summary(start_ms=NOON_MS + QUARTER_MS)), 1):
            centre.write(told, sequence=sequence)  # the last, of where it was, comes late
        shown.append([page(centre, path).text for path in paths])
    with running_centre(tmp_path, clock) as centre:
        shown.append([page(centre, path).text for path in paths])
    assert shown[0] == shown[1]
    overview, school, former = shown[0]
    assert "1 of 1 room is fresh." in overview
    assert "A-301" not in school
    assert "A-301: no data yet." in former
    assert "850" in former


@pytest.mark.parametrize(
    "path", ["/school/nowhere", "/school/cn-002/room/nowhere", "/school/nowhere/room/a-301", "/rooms"]
)
def test_a_place_that_is_not_there_is_said_with_the_way_back(centre: Running, path: str) -> None:
    answer = centre.client.get(path, params={"lang": "en"})
    assert answer.status_code == 404
    shown = Page(answer.text)
    assert "There is no such page" in shown.text
    assert ("a", {"href": "/"}) in shown.elements


def test_the_language_is_remembered_in_a_cookie_that_scripts_cannot_read(centre: Running) -> None:
    answer = centre.client.get("/", params={"lang": "en"})
    cookie = answer.headers["Set-Cookie"].lower()
    assert "bansui_language=en" in cookie
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    centre.client.cookies.clear()
    remembered = centre.client.get("/", headers={"Cookie": "bansui_language=en", "Accept-Language": "zh-CN"})
    assert '<html lang="en">' in remembered.text
    assert "Set-Cookie" not in remembered.headers


def test_a_page_without_the_chart_library_says_so_and_opens_its_tables(
    centre: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cloud_sink.pages.STATIC", tmp_path)
    shown = page(centre, "/school/cn-002/room/a-301")
    assert "python -m bansui.assets" in shown.text
    assert ("details", {"open": None}) in shown.elements
    assert not [attributes for _, attributes in shown.elements if "data-chart" in attributes]
    assert tmp_path != STATIC


def test_a_centre_without_rooms_says_what_to_do(tmp_path: Path) -> None:
    with running_centre(tmp_path) as empty:
        shown = page(empty, "/").text
        assert "No rooms yet: no agent has sent a summary." in shown
        assert "bansui buffer show" in page(empty, "/school/cn-002").text


def test_an_agents_report_is_told_and_ages(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS)
    with running_centre(tmp_path, clock) as centre:
        centre.report(
            report(time_ms=NOON_MS, stored_minutes=2, room_minutes=71 * 1440, clock_offset_ms=-20, version=100)
        )
        shown = page(centre, "/school/cn-002").text
        assert "edge-1 ● online 12:00 2\u202fmin 71\u202fd 0 \N{MINUS SIGN}0.02\u202fs 0.1.0" in shown
        clock.now_ms = NOON_MS + 15 * 60_000
        assert "edge-1 ◐ late 12:00" in page(centre, "/school/cn-002").text
        clock.now_ms = NOON_MS + DAY_MS
        assert "edge-1 ○ offline 10-12 12:00" in page(centre, "/school/cn-002").text
        assert "Agents offline 2 2 of 2" in page(centre, "/").text


def test_the_all_clear_ends_a_safety_alert(tmp_path: Path) -> None:
    with running_centre(tmp_path) as centre:
        centre.write(summary("gas", NOON_MS, {"last": 1}, window_s=1))
        assert "gas leak: Second Primary School A-301, since 12:00" in page(centre, "/school/cn-002/room/a-301").text
        centre.write(summary("gas", NOON_MS + 5000, {"last": 0}, window_s=1), sequence=2)
        assert "since 12:00" not in page(centre, "/school/cn-002/room/a-301").text


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (0, "0\u202fmin"),
        (59, "59\u202fmin"),
        (192, "3\u202fh 12\u202fmin"),
        (2 * 1440, "2\u202fd"),
        (71 * 1440, "71\u202fd"),
        (3660 * 1440, "over 1 year"),
    ],
)
def test_a_duration_is_as_coarse_as_it_is_long(minutes: int, said: str) -> None:
    assert Wording(Text("en"), ZoneInfo("Asia/Shanghai"), NOON_MS).duration(minutes) == said


@pytest.mark.parametrize(
    ("quantity", "ticks", "said"),
    [
        ("carbon_dioxide", 1420, "1\u202f420\u202fppm"),
        ("temperature", -5, "\N{MINUS SIGN}0.05\u202f°C"),
        ("energy", 1_234_567_890, "1\u202f234\u202f567.890\u202fkWh"),
        ("voc_index", 37, "0.37"),
    ],
)
def test_a_number_has_its_quantitys_decimals_and_unit(quantity: str, ticks: int, said: str) -> None:
    assert Wording(Text("zh-CN"), ZoneInfo("Asia/Shanghai"), NOON_MS).ticks(quantity, ticks) == said


def test_what_left_a_school_is_shown_with_its_lines_and_what_they_mean(centre: Running) -> None:
    """How much of each quantity, in which windows, from how many devices; for what and how long, by the policy."""
    answer = centre.client.get("/school/cn-002/left", params={"lang": "en"})
    shown = Page(answer.text).text
    assert "Today: 10 summaries of this school arrived here" in shown
    assert "CO2 15\u202fmin 5 2 " in shown
    assert (
        "to better the air, light and sound of rooms, and to save energy; to the school, the district; kept 730 days"
        in shown
    )
    assert "smoke at once 1 1 " in shown
    lines = re.findall(r"<li><code>([^<]+)</code>", answer.text)
    assert f"temperature,building=a,device=co2-a-301,room=a-301,school=cn-002,window=900 mean=-0.50 {NOON_MS}" in lines
    assert "A-301, 12:00\N{EN DASH}12:15: mean 1\u202f450\u202fppm, slots with a reading" not in shown  # it has none
    assert "A-301, 12:00\N{EN DASH}12:15: mean 1\u202f450\u202fppm." in shown
    size = re.search(r"arrived here, ([\d\u202f]+) bytes", shown)
    assert size is not None
    exported = centre.client.get(
        "/api/v1/export", params={"school": "cn-002", "from": 0, "to": NOON_MS + DAY_MS}
    ).content
    assert int(size[1].replace("\u202f", "")) == len(exported)


def test_a_day_without_data_says_so_and_a_school_that_is_not_there_too(centre: Running) -> None:
    assert "2025-10-01: nothing of this school arrived here." in page_of(centre, "/school/cn-002/left?day=2025-10-01")
    assert centre.client.get("/school/cn-999/left").status_code == 404


def page_of(centre: Running, path: str) -> str:
    return Page(centre.client.get(f"{path}&lang=en").text).text
