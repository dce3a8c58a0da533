"""A school at night: rooms are quiet, and not stale; an agent that is silent is an alarm all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from telemetry import ManualClock
from tests.cloud_sink.support import CONFIG, NOON_MS, QUARTER_MS, Running, report, running_centre, summary
from tests.cloud_sink.test_pages import page

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry import Summary
    from telemetry.uplink_contract import AgentReport

HOUR_MS = 4 * QUARTER_MS
DAY = NOON_MS // (24 * HOUR_MS)
LESSONS = sum(1 << hour for hour in range(5))
"""Eight to one in Shanghai, each hour whole."""
NIGHT_MS = NOON_MS + 10 * HOUR_MS
DEMO = '[privacy]\npolicy = "demo"\n'


def hours(now_ms: int) -> AgentReport:
    """As an agent tells them at that moment: today's, and that the next begin tomorrow at eight."""
    next_ms = (DAY + 1) * 24 * HOUR_MS
    return report(time_ms=now_ms, hours_day=DAY, hours=LESSONS, hours_next_ms=next_ms)


def told_by_one(centre: Running, clock: ManualClock, *earlier: Summary) -> None:
    """A school whose two rooms told all they had, and whose agent reports at night."""
    rooms = [summary(start_ms=NOON_MS + 3 * QUARTER_MS, room=room, device=f"co2-{room}") for room in ("a-301", "a-302")]
    centre.write(*earlier, *rooms, summary("battery", NOON_MS + 3 * QUARTER_MS, {"mean": 80}))
    for sequence, minute in enumerate((-15, -10, -5, 0), 2):
        clock.now_ms = NIGHT_MS + minute * 60_000
        centre.report(hours(clock.now_ms), sequence)


def test_at_night_rooms_are_quiet_on_every_page_and_in_the_api(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS + HOUR_MS)
    with running_centre(tmp_path, clock) as centre:
        told_by_one(centre, clock)
        district, school, room = (
            page(centre, path).text for path in ("/", "/school/cn-002", "/school/cn-002/room/a-301")
        )
        assert "All 2 rooms are outside timetable hours: nothing of them is due." in district
        assert "Rooms fresh — 2 outside hours" in district
        assert "Second Primary School – 0 ◌ outside hours" in district
        assert "All 2 rooms are outside timetable hours" in school
        assert "Outside timetable hours the policy lets little of rooms leave" in school
        assert "A-301: CO2 850\u202fppm at 12:45, outside hours." in room
        assert "co2-a-301 ◌ outside hours" in room
        for shown in (district, school, room):
            assert not {"stale", "late", "Alerts"} & set(shown.replace("Alerts 0", "").split())
        answers = centre.client.get("/api/v1/latest", params={"school": "cn-002"}).json()
        assert {answer["freshness"] for answer in answers} == {"quiet"}
        assert centre.client.get("/api/v1/alarms").json() == []
        chinese = centre.client.get("/school/cn-002", params={"lang": "zh-CN"}).text
        assert "2 间教室均在课表时段之外" in chinese
        assert "非课时" in chinese


def test_what_silence_at_night_is_follows_from_the_policy(tmp_path: Path) -> None:
    """One that tells rooms at all times: there silence is a fault at any hour."""
    clock = ManualClock(NOON_MS + HOUR_MS)
    with running_centre(tmp_path, clock, CONFIG + DEMO) as centre:
        told_by_one(centre, clock)
        assert "0 of 2 rooms are fresh." in page(centre, "/").text
        assert "○ stale" in page(centre, "/school/cn-002").text


def test_a_room_that_fell_silent_in_timetable_hours_stands_out_among_quiet_ones(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS + HOUR_MS)
    with running_centre(tmp_path, clock) as centre:
        told_by_one(centre, clock, summary(start_ms=NOON_MS - 3 * HOUR_MS, room="b-101", device="co2-b-101"))
        assert "0 of 1 room is fresh. 2 are outside timetable hours." in page(centre, "/").text
        shown = page(centre, "/school/cn-002").text
        assert "B-101 850\u202fppm ○ stale 09:00" in shown


def test_the_nights_gap_in_a_chart_says_that_it_is_the_policy(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS + HOUR_MS)
    with running_centre(tmp_path, clock) as centre:
        told_by_one(centre, clock, summary(start_ms=NOON_MS - 2 * HOUR_MS))
        shown = page(centre, "/school/cn-002/room/a-301").text
        assert "10:15–12:45 (agent offline), 13:00–22:00 (outside timetable hours)" in shown, (
            "gaps end where their reason does"
        )


def test_the_hours_are_known_again_after_a_restart(tmp_path: Path) -> None:
    """Those of the days before, too: a room that has been silent since then is not quiet again."""
    clock = ManualClock(NOON_MS + HOUR_MS)
    with running_centre(tmp_path, clock) as centre:
        centre.write(summary(start_ms=NOON_MS - 4 * HOUR_MS))
        centre.report(hours(clock.now_ms), sequence=2)
        clock.now_ms = NOON_MS + 40 * HOUR_MS
        tomorrow = report(time_ms=clock.now_ms, hours_day=DAY + 1, hours=1, hours_next_ms=(DAY + 2) * 24 * HOUR_MS)
        centre.report(tomorrow, sequence=3)
        before = centre.client.get("/api/v1/latest", params={"school": "cn-002"}).json()
    with running_centre(tmp_path, clock) as centre:
        assert centre.client.get("/api/v1/latest", params={"school": "cn-002"}).json() == before
        assert before[0]["freshness"] == "stale", "17 windows of that day and 4 of the next were due"


def test_an_agent_that_does_not_report_is_an_alarm_at_any_hour(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS + HOUR_MS)
    with running_centre(tmp_path, clock) as centre:
        told_by_one(centre, clock)
        clock.now_ms = NIGHT_MS + HOUR_MS
        offline = "Agent edge-1 offline: Second Primary School, since 22:00"
        assert all(offline in page(centre, path).text for path in ("/", "/school/cn-002", "/school/cn-002/room/a-301"))
        assert "Alerts 1" in page(centre, "/").text
        expected = {"kind": "agent_offline", "school": "cn-002", "agent": "edge-1", "since_ms": NIGHT_MS}
        (alarm,) = centre.client.get("/api/v1/alarms").json()
        assert alarm == expected | {"room": "", "quantity": ""}
        assert centre.client.get("/api/v1/alarms", params={"school": "cn-014"}).json() == [], "it never told anything"
        assert centre.client.get("/api/v1/alarms", params={"school": "nowhere"}).status_code == 404
        assert "边缘网关 edge-1 离线：第二小学，自 22:00" in page(centre, "/", "zh-CN").text
    clock.now_ms += 72 * HOUR_MS
    with running_centre(tmp_path, clock) as centre:
        found = {alarm["kind"]: alarm for alarm in centre.client.get("/api/v1/alarms").json()}
        assert set(found) == {"agent_offline", "centre_clock"}, "whose clock is ahead, or all are silent"
        assert found["agent_offline"] == expected | {"room": "", "quantity": ""}, (
            "though that is longer ago than moments are kept"
        )
        assert all(text in page(centre, "/school/cn-002").text for text in ("edge-1 ○ offline", "10-12 22:00"))


@pytest.mark.parametrize("path", ["/", "/school/cn-002"])
def test_in_the_morning_what_should_have_come_is_missed(tmp_path: Path, path: str) -> None:
    clock = ManualClock(NOON_MS + HOUR_MS)
    with running_centre(tmp_path, clock) as centre:
        told_by_one(centre, clock)
        clock.now_ms = (DAY + 1) * 24 * HOUR_MS + 11 * QUARTER_MS
        assert "0 of 2 rooms are fresh." in page(centre, path).text


def test_a_report_of_a_day_that_never_comes_takes_nothing_down(tmp_path: Path) -> None:
    """Every number of a report is of 64 bits: the store keeps what it may be, and the next reports count."""
    clock = ManualClock(NOON_MS + HOUR_MS)
    with running_centre(tmp_path, clock) as centre:
        told_by_one(centre, clock)
        centre.report(report(time_ms=clock.now_ms, hours_day=1 << 62, hours=1 << 62, hours_next_ms=1 << 62), 6)
        centre.report(hours(clock.now_ms), 7)
        answers = centre.client.get("/api/v1/latest", params={"school": "cn-002"}).json()
        assert {answer["freshness"] for answer in answers} == {"quiet"}
        for sequence, time_ms in ((8, -(1 << 62)), (9, 1 << 62)):
            centre.report(report(time_ms=time_ms, certificate_days=3), sequence)
            assert "All schools" in page(centre, "/").text
    clock.now_ms += 72 * HOUR_MS
    with running_centre(tmp_path, clock) as centre:
        assert "Agent edge-1 offline" in page(centre, "/").text
