"""An agent's state folder is put back from a copy while its real centre goes on: nothing told twice, nothing lost."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from edge_agent.timing import Timing
from edge_agent.transactions import Span
from telemetry import decode_all
from tests.cloud_sink.support import running_centre
from tests.edge_agent.harness import MINUTE, SECOND, Bench
from tests.system.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMING: Final = Timing(lateness_ms=2 * MINUTE, checkpoint_s=400, batch_every_s=120, report_every_s=900)


def live(bench: Bench, delivery: Delivery, minutes: int, told: set[tuple[str, int]]) -> None:
    """A classroom and a mast; `told` gets every window that has readings."""
    for minute in range(minutes):
        bench.read("air", ["carbon_dioxide", 500 + minute], ["temperature", 20 + minute % 3])
        bench.read("mast", ["temperature", 10 + minute % 3], ["wind_speed", minute % 4])
        now = bench.clock.now()
        quarter, this_minute = now // (15 * MINUTE) * 15 * MINUTE, now // MINUTE * MINUTE
        told |= {("air carbon_dioxide", quarter), ("air temperature", quarter)}
        told |= {("mast temperature", this_minute), ("mast wind_speed", this_minute)}
        for _ in range(6):
            bench.until_closed(10 * SECOND)
            delivery.carry()


def test_a_restored_agent_tells_no_summary_twice(tmp_path: Path, tell: Callable[[str], None]) -> None:
    """It takes over readings that its other copy has told already, and learns from the centre that they are told."""
    bench, told = Bench(tmp_path / "state", timing=TIMING), set[tuple[str, int]]()
    (tmp_path / "centre").mkdir()
    with running_centre(tmp_path / "centre", clock=bench.clock) as centre:
        delivery = Delivery(bench, centre)
        live(bench, delivery, 20, told)
        bench.stop()
        shutil.copytree(bench.folder, tmp_path / "copy")
        bench.start()
        live(bench, delivery, 20, told)
        delivery.finish()
        assert not delivery.forks
        bench.stop()

        bench.folder = tmp_path / "copy"
        bench.bodies.clear()
        bench.start()
        again = bench.core.state.open_readings() + bench.core.state.waiting
        live(bench, delivery, 20, told)
        delivery.finish()

        centre.settle()
        stored = decode_all(centre.export().encode())
        balance = centre.client.get("/api/v1/balance").json()[0]
        audit = bench.audit()
    [fork] = delivery.forks
    assert again > 0, "the copy had nothing that its other copy told"
    assert isinstance(fork.told, Span)
    assert {(f"{each.series.device} {each.series.quantity}", each.start_ms) for each in stored} >= told
    assert balance["summaries_received"] == balance["summaries_stored"] == len(stored), "a summary came twice"
    assert not any(each.series.revision for each in stored), "a summary came twice, as a revision of itself"
    assert audit.closes, audit.faults
    tell(f"{len(stored)} summaries once; {again} readings and summaries of the copy were told by the other one before")
    bench.stop()
