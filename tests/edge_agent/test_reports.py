"""The agent's report: what of its state leaves, and when."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from edge_agent.reporting import as_told
from edge_agent.timetable import CompiledTimetable
from edge_agent.timing import Timing
from telemetry.uplink_contract import REPORT_PATH, WRITE_PATH, AgentReport, unseal
from tests.edge_agent.harness import (
    DAY,
    HOUR,
    MINUTE,
    TIMETABLE,
    Bench,
    delivered,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CO2: Final = ["carbon_dioxide", 700]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, timing=Timing(lateness_ms=2 * MINUTE, report_every_s=10**9))
    yield made
    made.stop()


class TestReports:
    """The agent's own report goes the same way as all else."""

    def test_a_report_is_a_batch(self, tmp_path: Path) -> None:
        """Sealed, numbered and chained with the rest; delivered, it leaves the balance as it is.

        It counts summaries, and no readings: those show when something moves.
        """
        bench = Bench(tmp_path)
        bench.read("air", CO2)
        bench.read("mast", ["temperature", 10])
        bench.read("door", ["people_count", 3], ["people_in", 40])
        bench.read("board", ["lamp_hours", -1])
        bench.until_closed(5 * MINUTE)
        send = bench.sends[0]
        while send.path == WRITE_PATH:
            bench.answer(delivered)
            send = bench.sends[0]
        assert send.path == REPORT_PATH
        report = AgentReport.from_dict(json.loads(unseal(send.body)))
        assert report.summaries == 1
        assert (report.received, report.admitted, report.rejected) == (0, 0, 0)
        assert (report.summarised, report.open, report.withheld) == (0, 0, 0)
        hours = CompiledTimetable(TIMETABLE).hours(report.time_ms)
        assert (report.hours_day, report.hours, report.hours_next_ms) == (hours.day, hours.hours, hours.next_ms)
        own = bench.core.report()
        assert (own.received, own.rejected, own.summarised, own.open, own.withheld) == (5, 1, 1, 1, 2)
        bench.answer(delivered)
        found = bench.audit()
        assert found.faults == []
        assert not bench.core.state.unacknowledged
        bench.stop()

    @pytest.mark.parametrize(
        ("hours", "told"), [(0.9, 0), (1, 1), (7.5, 4), (23, 16), (24, 24), (71 * 24, 64 * 24), (87_840, 2048 * 24)]
    )
    def test_the_buffers_room_leaves_to_a_power_of_two(self, bench: Bench, hours: float, told: int) -> None:
        """How many pages of the store are in use follows what devices send, and an hour of room can be one of them."""
        own = replace(bench.core.report(), room_minutes=int(hours * 60))
        assert as_told(own).room_minutes == told * 60

    def test_a_report_that_is_refused_is_gone(self, tmp_path: Path) -> None:
        """Nothing of it waits again, and nothing is hurried by it."""
        bench = Bench(tmp_path)
        bench.until_closed(5 * MINUTE)
        assert bench.sends[0].path == REPORT_PATH
        bench.answer(refused)
        assert bench.audit().faults == []
        assert not bench.core.state.unacknowledged
        assert not bench.core.state.splitting
        bench.stop()

    @pytest.mark.parametrize("step_ms", [0, -10 * DAY, 10 * DAY])
    def test_the_buffer_is_shown_in_minutes(self, bench: Bench, step_ms: int) -> None:
        """How long the oldest summary waits, and how long the disk will do at this rate.

        A machine without a battery shows at its start when it was last on: the rate is of the time that passes.
        """
        bench.clock.step(step_ms)
        bench.read("mast", *[["temperature", 1, str(channel)] for channel in range(120)])
        bench.until_closed(HOUR)
        report = bench.core.report()
        assert report.stored_minutes == 60
        assert report.waiting == 120
        assert report.room_minutes == pytest.approx((1 << 30) * 0.95 / 200 / 2, rel=0.01)
