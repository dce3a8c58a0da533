"""A school's morning as an agent tells it, for browser tests and screenshots: lessons, a silent sensor, a leak."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tests.cloud_sink.support import NOON_MS, QUARTER_MS, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry import Summary

ROOMS: Final = ("a-101", "a-102", "a-103", "a-104", "a-201", "a-202", "a-203", "b-301", "b-302", "b-303")
FROM_QUARTER: Final = -21
"""The first window before noon that the day has: 06:45."""
OUTAGE: Final = range(-12, -8)
"""The quarters from 09:00 to 10:00, which come late, or never."""
AFTERNOON: Final = range(4, 16)
"""The quarters from 13:00 to 16:00."""
TIMETABLE: Final = """
[school.timetable]
hours = [["08:00", "09:40"], ["10:00", "11:45"], ["13:30", "16:00"]]
make_up_days = ["2025-10-12"]
"""
HOURS: Final = {
    "hours_day": NOON_MS // 86_400_000,
    "hours": 0b11101111 << 24 | 0b11000101,
    "hours_next_ms": NOON_MS // 86_400_000 * 86_400_000 + 86_400_000,
}
"""The timetable's as an agent reports them, by universal time: eight in Shanghai is its midnight."""
_LESSONS: Final = (range(-16, -9), range(-8, 0), range(6, 16))
_SILENT: Final = "b-303"


def dust_of(hour: int) -> Iterator[Summary]:
    """What is told of an hour after noon, outside timetable hours: the dust in some rooms, and the yard."""
    for room in ROOMS[::3]:
        fields = {"mean": 280 + 5 * hour, "n": 60, "expected": 60}
        start_ms = NOON_MS + hour * 4 * QUARTER_MS
        yield summary("pm25", start_ms, fields, room=room, device=f"pm-{room}", window_s=3600)
    start_ms = NOON_MS + (hour * 4 + 3) * QUARTER_MS
    for quantity, ticks in (("temperature", 1250 - 30 * hour), ("pm25", 310 + hour)):
        fields = {"mean": ticks, "n": 15, "expected": 15}
        yield summary(quantity, start_ms, fields, room="yard", device="weather-yard", window_s=60)


def quarter_of(quarter: int) -> Iterator[Summary]:
    """What every room tells of one quarter of an hour, counted from noon."""
    for index, room in enumerate(ROOMS):
        if room == _SILENT and quarter > -14:
            continue
        start_ms = NOON_MS + quarter * QUARTER_MS
        for quantity, ticks in _levels(index, quarter).items():
            fields = {"mean": ticks, "min": ticks - ticks // 20, "max": ticks + ticks // 20, "n": 15, "expected": 15}
            yield summary(quantity, start_ms, fields, room=room, device=f"{_DEVICES[quantity]}-{room}")
    for quantity, ticks in (("temperature", 1250 + 30 * quarter), ("pm25", 310 + quarter)):
        yield summary(
            quantity,
            NOON_MS + quarter * QUARTER_MS,
            {"mean": ticks, "n": 15, "expected": 15},
            room="yard",
            device="weather-yard",
        )


_DEVICES: Final = {
    "carbon_dioxide": "co2",
    "temperature": "co2",
    "humidity": "co2",
    "pm25": "pm",
    "sound_pressure": "sound",
    "illuminance": "light",
}


def _levels(index: int, quarter: int) -> dict[str, int]:
    level, begun = 430.0, 0
    for lesson in _LESSONS:
        for past in lesson:
            if past <= quarter:
                level += (1750 - 120 * index - level) * 0.28
                begun = past
    if not any(quarter in lesson for lesson in _LESSONS):
        level = 430 + (level - 430) * 0.35
    wave = math.sin(quarter / 2 + index)
    is_lesson = begun == quarter
    levels = {
        "carbon_dioxide": round(level / 50) * 50,
        "temperature": 1950 + 12 * (quarter - FROM_QUARTER) + round(20 * wave),
        "humidity": 520 + round(level / 20) + round(8 * wave),
    }
    if index % 3 == 0:
        levels["pm25"] = 260 + round(120 * is_lesson + 40 * wave)
        levels["sound_pressure"] = 380 + round(220 * is_lesson + 15 * wave)
        levels["illuminance"] = 240 + 190 * is_lesson + round(30 * wave)
    return levels


def health() -> Iterator[Summary]:
    """What devices say of themselves, and a leak that nobody has ended."""
    last = NOON_MS - QUARTER_MS
    yield summary("energy", last, {"delta": 1234}, room="a-101", device="meter-a-101", channel="l1")
    yield summary("battery", last, {"mean": 87}, room="a-101", device="co2-a-101")
    yield summary("link_quality", last, {"mean": 143}, room="a-101", device="co2-a-101")
    yield summary("battery", last, {"mean": 64}, room="a-101", device="vr-a-101-1")
    yield summary("water_leak", NOON_MS - 8 * 60_000, {"last": 1}, room="b-302", device="leak-b-302", window_s=1)
