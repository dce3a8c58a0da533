"""Whose turn it is on a line that is shared."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from edge_agent.driver_guard import DriverGuard
from edge_agent.intake.polling import Polled, ask_in_turn
from edge_agent.windows import Cadence
from telemetry import ManualClock
from tests.edge_agent.harness import HOUR, MONDAY_9, bind

if TYPE_CHECKING:
    from collections.abc import Sequence

CADENCE_MS: Final = 1000


class Impatient(ManualClock):
    """Time that passes as soon as somebody waits for it."""

    def until(self, time_ms: int) -> float:
        self.advance(max(0, time_ms - self.now()))
        return 0.0


async def asked_when_each_takes(waits_ms: Sequence[int], *, set_back_by_ms: int = 0) -> list[int]:
    """Which of three devices was asked each time, when that takes so long; the clock is set back after the fourth."""
    clock, asked = Impatient(MONDAY_9), list[int]()
    cadence = Cadence(CADENCE_MS, 3 * CADENCE_MS)
    polled = [
        Polled(bind(f"d-{number}", (), cadence=cadence), DriverGuard(), clock=clock, deliver=lambda _batch: None)
        for number in range(3)
    ]

    async def ask(which: Polled) -> float:
        if len(asked) == len(waits_ms):
            raise asyncio.CancelledError
        clock.advance(waits_ms[len(asked)])
        asked.append(polled.index(which))
        if len(asked) == 4:
            clock.step(-set_back_by_ms)
        return 0.0

    with contextlib.suppress(asyncio.CancelledError):
        await ask_in_turn(polled, clock, ask)
    return asked


async def test_a_line_that_is_slow_serves_all_alike() -> None:
    """Each question takes more than a third of the cadence, so that rounds fall into the next."""
    assert await asked_when_each_takes([400] * 12) == [0, 1, 2] * 4


async def test_a_delay_gives_nobody_another_turn() -> None:
    """The one whose answer came after the next round had begun is not passed over in the round behind that."""
    assert await asked_when_each_takes([1, 1, 1500, 1, 1, 1]) == [0, 1, 2, 0, 1, 2]


async def test_a_clock_that_is_set_back_leaves_nobody_waiting() -> None:
    """Else all but one device of a line would be asked again when the clock shows what it showed before."""
    assert await asked_when_each_takes([1] * 13, set_back_by_ms=HOUR) == [0, 1, 2, 0] + [1, 2, 0] * 3
