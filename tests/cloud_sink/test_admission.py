"""What the centre takes of what agents tell: days as agents have them."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

import pytest

from cloud_sink.admission import Admission, OutsideContract
from edge_agent.timetable import Timetable
from tests.cloud_sink.support import NOON_MS, summary

HOUR_MS: Final = 3_600_000


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe"])
def test_a_day_is_taken_where_an_agent_begins_it(zone: str) -> None:
    """Also in summer: an agent's days are 24 hours of standard time."""
    timetable = Timetable(ZoneInfo(zone), frozenset(), ())
    admission = Admission(ZoneInfo(zone), {})
    for month in range(12):
        start_ms = timetable.day_start(NOON_MS + month * 30 * 24 * HOUR_MS)
        day = summary("operating_time", start_ms, {"delta": 5}, window_s=86_400)
        admission.admit("edge-1", "cn-002", [day])
        hour_later = summary("operating_time", start_ms + HOUR_MS, {"delta": 5}, window_s=86_400)
        with pytest.raises(OutsideContract, match="does not begin at"):
            admission.admit("edge-1", "cn-002", [hour_later])
