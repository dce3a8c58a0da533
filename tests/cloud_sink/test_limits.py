from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from cloud_sink.limits import LIMITS, Over, judge
from cloud_sink.timetable import lessons
from telemetry import quantity
from telemetry.timetable_table import TimetableTable
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, summary

SHANGHAI = ZoneInfo("Asia/Shanghai")
SUNDAY = dt.date(2025, 10, 12)
LESSON = (NOON_MS, NOON_MS + 2 * QUARTER_MS)


def test_every_limit_names_its_standard_and_its_source() -> None:
    for name, limit in LIMITS.items():
        assert quantity(name).to_value(limit.ticks) == limit.value
        assert limit.name.endswith(limit.edition)
        assert limit.source.startswith("https://")
    assert (LIMITS["carbon_dioxide"].name, LIMITS["pm25"].name) == ("GB/T 17226-2017", "WHO 2021")


@pytest.mark.parametrize(
    ("quantity_id", "lessons", "mean", "is_kept"),
    [
        ("carbon_dioxide", [LESSON], 1500, False),
        ("carbon_dioxide", [], 900, True),
        ("pm25", [LESSON], 900, False),
        ("illuminance", [LESSON], 1500, True),
        ("sound_pressure", [LESSON], 300, True),
        ("sound_pressure", [], None, None),
    ],
)
def test_a_limit_is_compared_to_the_mean_over_its_own_time(
    quantity_id: str, lessons: list[tuple[int, int]], mean: int | None, is_kept: bool | None
) -> None:
    """Two quarters of a lesson at 1500, two after it at 300; ticks as they are."""
    windows = [
        summary(quantity_id, NOON_MS + quarter * QUARTER_MS, {"mean": ticks})
        for quarter, ticks in enumerate((1500, 1500, 300, 300))
    ]
    judged = judge(LIMITS[quantity_id], windows, lessons)
    assert (judged.mean, judged.is_kept) == (mean, is_kept)


def test_a_window_that_is_only_partly_lesson_counts_for_neither() -> None:
    hour = summary(fields={"mean": 2000}, window_s=3600)
    assert judge(LIMITS["carbon_dioxide"], [hour], [LESSON]).mean is None
    assert LIMITS["sound_pressure"].over is Over.EMPTY
    assert judge(LIMITS["sound_pressure"], [hour], [LESSON]).mean is None


def test_a_make_up_day_has_lessons_and_a_holiday_has_none() -> None:
    timetable = TimetableTable(hours=(("12:00", "12:30"),), holidays=(dt.date(2025, 10, 13),), make_up_days=(SUNDAY,))
    assert lessons(timetable, SUNDAY, SHANGHAI) == [LESSON]
    assert lessons(timetable, dt.date(2025, 10, 13), SHANGHAI) == []
    assert lessons(timetable, dt.date(2025, 10, 14), SHANGHAI) != []
    assert lessons(timetable, dt.date(2025, 10, 18), SHANGHAI) == []
    half = timetable.model_copy(update={"half_days": {SUNDAY: "12:10", dt.date(2025, 10, 14): "12:00"}})
    assert lessons(half, SUNDAY, SHANGHAI) == [(LESSON[0], LESSON[0] + 600_000)]
    assert lessons(half, dt.date(2025, 10, 14), SHANGHAI) == []


def test_hours_may_last_until_midnight() -> None:
    """As in an agent's file, whose table it is."""
    timetable = TimetableTable(hours=(("12:00", "12:30"), ("18:00", "24:00")))
    (_, evening) = lessons(timetable, dt.date(2025, 10, 13), SHANGHAI)
    assert dt.datetime.fromtimestamp(evening[1] / 1000, SHANGHAI) == dt.datetime(2025, 10, 14, tzinfo=SHANGHAI)


def test_hours_out_of_order_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="in order"):
        TimetableTable(hours=(("10:00", "09:00"),))
