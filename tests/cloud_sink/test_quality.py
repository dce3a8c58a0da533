"""Sensors that give themselves away by what they told, and healthy ones that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloud_sink.quality import STUCK_QUARTERS, Quality, Sensors
from telemetry import ManualClock
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, Running, running_centre, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from telemetry import Summary

MORNING_MS = NOON_MS - 4 * 3_600_000
DAY_MS = 24 * 3_600_000
ROOMS = ("a-1", "a-2", "a-3", "a-4")


def told(quantity: str, mean: Callable[[str, int], int | None], quarters: Iterable[int], day: int = 0) -> list[Summary]:
    """What a sensor in each room told of quarter hours of a day; none where `mean` says so."""
    return [
        summary(
            quantity,
            MORNING_MS + day * DAY_MS + quarter * QUARTER_MS,
            {"mean": value, "n": 15, "expected": 15},
            room=room,
            device=f"s-{room}",
        )
        for quarter in quarters
        for room in ROOMS
        if (value := mean(room, quarter)) is not None
    ]


def suspects(*windows: Sequence[Summary]) -> list[tuple[str, str, Quality, int]]:
    """Room, quantity, quality, and since which quarter hour."""
    sensors = Sensors()
    for some in windows:
        sensors.take(some)
    return [
        (found.room, found.quantity, found.quality, (found.since_ms - MORNING_MS) // QUARTER_MS)
        for found in sensors.suspects("cn-002")
    ]


def warming(room: str, quarter: int) -> int:
    """Rooms that get warmer by 0.12 degrees a quarter hour, but for one."""
    return 2150 if room == "a-1" and quarter >= 2 else 2000 + 12 * quarter + len(room)


def test_three_hours_of_one_value_while_the_others_move_is_stuck() -> None:
    windows = told("temperature", warming, range(2 + STUCK_QUARTERS))
    assert suspects(windows) == [("a-1", "temperature", Quality.STUCK, 2)]
    assert suspects(windows[: -len(ROOMS)]) == []
    assert suspects(windows, told("temperature", lambda room, quarter: 2151, [14])) == [], "it has come to life"


def test_a_school_where_nothing_moves_has_no_stuck_sensor() -> None:
    assert suspects(told("temperature", lambda room, _: 2000 + ord(room[-1]), range(30))) == []


def test_a_sensor_without_enough_others_is_not_judged() -> None:
    windows = [window for window in told("temperature", warming, range(30)) if window.series.room != "a-4"]
    assert suspects(windows) == []


@pytest.mark.parametrize(("ppm", "is_stuck"), [(550, False), (600, True)])
def test_co2_at_the_level_of_an_empty_room_may_stay_there(ppm: int, is_stuck: bool) -> None:
    windows = told("carbon_dioxide", lambda room, quarter: ppm if room == "a-1" else 450 + 50 * quarter, range(13))
    assert suspects(windows) == ([("a-1", "carbon_dioxide", Quality.STUCK, 0)] if is_stuck else [])


def test_co2_below_the_air_outdoors_for_an_hour_is_offset() -> None:
    windows = told(
        "carbon_dioxide", lambda room, quarter: 350 if (room, quarter > 1) == ("a-1", True) else 400, range(6)
    )
    assert suspects(windows) == [("a-1", "carbon_dioxide", Quality.OFFSET, 2)]
    assert suspects(windows[: -len(ROOMS)]) == []


def test_a_lowest_far_above_the_others_on_three_days_is_offset() -> None:
    def level(room: str, quarter: int) -> int:
        return 450 + 50 * (quarter % 9) + (300 if room == "a-1" else 0)

    days = [told("carbon_dioxide", level, range(20), day) for day in (0, 1, 4)]
    utc_day = (MORNING_MS // DAY_MS * DAY_MS - MORNING_MS) // QUARTER_MS
    assert suspects(*days) == [("a-1", "carbon_dioxide", Quality.OFFSET, utc_day)]
    assert suspects(*days[:2]) == []
    aired = told("carbon_dioxide", lambda room, quarter: 650 + 50 * (quarter % 9), range(20), 5)
    assert suspects(*days, aired) == [], "the others came no lower on that day"


def test_what_comes_late_changes_nothing_and_what_fell_silent_is_not_judged() -> None:
    windows = told("temperature", warming, range(2 + STUCK_QUARTERS))
    late = told("temperature", lambda room, _: 1900 if room == "a-1" else None, [9])
    assert suspects(windows, late) == [("a-1", "temperature", Quality.STUCK, 2)]
    later = told("temperature", lambda room, quarter: None if room == "a-1" else 2000 + quarter, range(40), 1)
    assert suspects(windows, later) == []


def listed(centre: Running, language: str) -> str:
    return centre.client.get("/school/cn-002", headers={"Accept-Language": language}).text


def test_the_api_and_the_pages_tell_of_it_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS)
    with running_centre(tmp_path, clock) as centre:
        centre.write(*told("temperature", warming, range(2 + STUCK_QUARTERS)))
    with running_centre(tmp_path, clock) as centre:
        values = centre.client.get("/api/v1/latest", params={"school": "cn-002"}).json()
        qualities = {value["room"]: (value["quality"], value["quality_since_ms"]) for value in values}
        stuck = ("stuck", MORNING_MS + 2 * QUARTER_MS)
        assert qualities == {room: stuck if room == "a-1" else ("good", None) for room in ROOMS}
        assert "temperature stuck since 08:30" in listed(centre, "en").lower()
        assert "自 08:30 起卡死不变" in listed(centre, "zh-CN")
        assert "卡死不变" in centre.client.get("/school/cn-002/room/a-1").text
        assert "卡死不变" not in centre.client.get("/school/cn-002/room/a-2").text
        assert centre.client.get("/api/v1/alarms", params={"school": "cn-002"}).json() == []
        centre.write(*told("temperature", lambda room, _: 2300, [14]), sequence=2)
        assert "No sensor of what is in the air seems stuck" in listed(centre, "en")
