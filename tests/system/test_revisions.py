"""A device that was out of reach sends what it kept: after the night, readers at the centre see the gap filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.timing import Timing
from telemetry import decode_all
from tests.cloud_sink.support import running_centre
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, SECOND, Bench
from tests.system.delivery import Delivery

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry import Summary
    from tests.cloud_sink.support import Running

QUARTER = 15 * MINUTE
TIMING = Timing(lateness_ms=2 * MINUTE, batch_every_s=120, report_every_s=900)


def stored(centre: Running) -> list[Summary]:
    """What readers see of the CO2, by window."""
    centre.settle()
    every = decode_all(centre.export().encode())
    return sorted((each for each in every if each.series.device == "air"), key=lambda each: each.start_ms)


def test_what_came_late_is_what_readers_see_after_the_night(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "state", timing=TIMING)
    (tmp_path / "centre").mkdir()
    with running_centre(tmp_path / "centre", clock=bench.clock) as centre:
        delivery = Delivery(bench, centre)

        def until(moment_ms: int, *, is_heard: bool = False) -> None:
            while bench.clock.now() < moment_ms:
                if is_heard:
                    bench.read("air", ["carbon_dioxide", 600])
                bench.read("mast", ["temperature", 10])
                bench.until_closed(MINUTE if is_heard else 5 * MINUTE)
                delivery.carry()

        until(MONDAY_9 + 20 * MINUTE, is_heard=True)
        until(MONDAY_9 + 70 * MINUTE)
        for minute in range(20, 60):
            bench.read("air", ["carbon_dioxide", 1200, "", MONDAY_9 + minute * MINUTE + SECOND])
        by_day = [(each.start_ms, each.fields["mean"], each.fields["n"]) for each in stored(centre)]
        until(MONDAY_9 - 9 * HOUR + DAY + 2 * HOUR + 10 * MINUTE)
        found = [
            (each.start_ms, each.fields["mean"], each.fields["n"], each.series.revision) for each in stored(centre)
        ]
        balance = centre.client.get("/api/v1/balance").json()[0]
    starts = [MONDAY_9 + quarter * QUARTER for quarter in range(4)]
    assert by_day == [(starts[0], 600, 15), (starts[1], 600, 8)]
    assert found == [
        (starts[0], 600, 15, 0),
        (starts[1], 1000, 15, 1),
        (starts[2], 1200, 15, 1),
        (starts[3], 1200, 15, 1),
    ]
    assert balance["summaries_received"] == balance["summaries_stored"]
    assert bench.audit().faults == []
    bench.stop()
