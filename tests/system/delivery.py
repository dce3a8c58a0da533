"""Carries what an agent's core sends to a real centre over HTTP, and its answers back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.events import Forked
from edge_agent.uplink import outcome
from telemetry.uplink_contract import WRITE_PATH
from tests.edge_agent.harness import SECOND, Bench, lines_of

if TYPE_CHECKING:
    from edge_agent.events import Event
    from tests.cloud_sink.support import Running


class Delivery:
    """One agent's way to a centre."""

    def __init__(self, bench: Bench, centre: Running) -> None:
        self._bench = bench
        self._centre = centre
        self.forks: list[Forked] = []
        self.lines: set[str] = set()
        """Every summary that was under way."""

    def carry(self) -> None:
        """Every batch that is under way, one after another."""
        while self._bench.sends:
            self._bench.play(self._answer())
            self._bench.settle()

    def finish(self) -> None:
        """Time passes until every window is closed and at the centre, and all that it has lost was offered again."""
        for _ in range(600):
            self._bench.until_closed(10 * SECOND)
            self.carry()
            core = self._bench.core
            waits = core.state.open_readings() or core.state.waiting or core.state.unacknowledged
            if not (waits or core.delivery._lost):
                return
        raise AssertionError(f"it does not come to its end: {self._bench.core.report()}")

    def _answer(self) -> Event:
        send = self._bench.sends.pop(0)
        if send.path == WRITE_PATH:
            self.lines.update(lines_of(send))
        response = self._centre.post(send.body, key=str(send.batch), path=send.path)
        event = outcome(send.batch, response)
        if isinstance(event, Forked):
            self.forks.append(event)
        return event
