"""The clock is an hour or a month off, at 1970, set again and again, over a change of summer time; devices have theirs.

One seed is one script of such steps. What was measured while the clock was right, or while nobody believed it, has to
be told in its own minute; every change of an alarm once; every step and every time that is not believed is counted.
"""

from __future__ import annotations

import datetime as dt
import random
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from edge_agent.store import Store
from edge_agent.timetable import Timetable
from edge_agent.timing import Timing
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, SECOND, TIMETABLE, Bench
from tests.faults.campaign import Campaign, Outcome
from tests.faults.life import Trust
from tests.faults.model_centre import ModelCentre

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEED: Final = 19_700_101
_ACTIONS: Final = 15
_LATENESS_MS: Final = 2 * MINUTE
_TIMING: Final = Timing(lateness_ms=_LATENESS_MS, checkpoint_s=300, batch_every_s=120, report_every_s=10**9, retry_s=1)
_YEAR_2000: Final = 946_684_800_000
_BERLIN: Final = Timetable(ZoneInfo("Europe/Berlin"), frozenset(range(7)), ((dt.time(0, 45), dt.time(4, 20)),))
PLACES: Final = (
    (TIMETABLE, MONDAY_9),
    (_BERLIN, 1_761_436_800_000),  # 2025-10-26 00:00 UTC: at 01:00 an hour comes twice
    (_BERLIN, 1_774_742_400_000),  # 2026-03-29 00:00 UTC: at 01:00 an hour is left out
)
"""Where and when a script begins."""
_WRONG: Final = (-30 * DAY, -HOUR, -3 * SECOND, 3 * SECOND, HOUR, 30 * DAY)


def _open_store(folder: Path, new_epoch: Callable[[], str]) -> Store:
    """One that does not wait for the disk: the power stays on here."""
    store = Store(folder, new_epoch=new_epoch)
    store._connection.pragma("synchronous", "OFF")
    return store


class Script:
    """One agent with a centre that is always there, and a clock that is not always right."""

    def __init__(self, folder: Path, seed: int) -> None:
        timetable, begin_ms = PLACES[seed % len(PLACES)]
        self._random = random.Random(f"{SEED}-{seed}")
        self._trust = Trust()
        self._error_ms = 0
        """How far the clock is off at present."""
        self.bench = Bench(
            folder,
            timing=_TIMING,
            timetable=timetable,
            at_ms=begin_ms,
            seed=seed,
            clock_trust=self._trust,
            open_store=_open_store,
        )
        self.centre = ModelCentre()
        self.minutes: set[int] = set()
        """Those in which something was measured that has to be told in them."""
        self.readings = self.toggles = self.steps = self.restamped = self.late = 0
        """What was sent, how often the clock was set under a running agent, what it may not believe or be late."""

    def run(self) -> list[str]:
        """The script from its begin to its end; what was not as promised."""
        actions: tuple[Callable[[], None], ...] = (
            self._pass,
            self._pass,
            self._wrong,
            self._lost,
            self._device_of_2000,
            self._future_reading,
            self._late_reading,
            self._restart,
        )
        for _ in range(_ACTIONS):
            self._random.choice(actions)()
            self._pass()
        self._end()
        faults = self._faults()
        self.bench.stop()
        return faults

    def _now(self) -> int:
        """The time as it is."""
        return self.bench.clock.now() - self._error_ms

    def _minute(self) -> None:
        """A minute as any other; what it measures comes in its middle, in one piece with its time."""
        self._wait(MINUTE - self._now() % MINUTE + 5 * SECOND)
        bench = self.bench
        if not self._error_ms or not self._trust.is_kept:
            self.minutes.add(self._now() // MINUTE * MINUTE)
        bench.read("mast", ["temperature", self._random.randrange(30)])
        bench.read("air", ["carbon_dioxide", 500 + self._random.randrange(500)])
        self.readings += 2
        if self._random.random() < 0.3:
            self.toggles += 1
            bench.read("alarm", ["smoke", self.toggles % 2])
            self.readings += 1

    def _pass(self) -> None:
        for _ in range(self._random.randrange(1, 5)):
            self._minute()

    def _wait(self, milliseconds: int) -> None:
        """Time passes, and the centre answers."""
        for _ in range(0, milliseconds, 10 * SECOND):
            self.bench.pass_time(min(10 * SECOND, milliseconds))
            milliseconds -= 10 * SECOND
            self._deliver()

    def _deliver(self) -> None:
        self.bench.settle()
        while self.bench.sends:
            self.bench.play(self.centre.take(self.bench.sends.pop(0)))
            self.bench.settle()

    def _step(self, milliseconds: int) -> None:
        """The clock is set, and the agent sees it."""
        self.bench.clock.step(milliseconds)
        self._error_ms += milliseconds
        self.steps += 1
        self.bench.checkpoint()

    def _wrong(self) -> None:
        """The time service itself is wrong for a while, and is believed."""
        self._step(self._random.choice(_WRONG))
        self._pass()
        self._step(-self._error_ms)

    def _lost(self) -> None:
        """A start before the time is known: the agent keeps what comes until the clock is right and confirmed."""
        wrong_ms = self._random.choice((*_WRONG, -self.bench.clock.now()))
        self.bench.checkpoint()
        self._trust.is_kept = False
        self.bench.clock.step(wrong_ms)
        self._error_ms = wrong_ms
        self.bench.restart()
        self._pass()
        self._step(-wrong_ms)
        self._trust.is_kept = True
        self._wait(SECOND)

    def _device_of_2000(self) -> None:
        self._read_stated(_YEAR_2000)
        self.restamped += 1

    def _future_reading(self) -> None:
        self._read_stated(self._now() + self._random.choice((5 * MINUTE, HOUR, 30 * DAY)))
        self.restamped += 1

    def _late_reading(self) -> None:
        self._read_stated(self._now() - self._random.randrange(10 * MINUTE, 20 * HOUR))
        self.late += 1

    def _read_stated(self, stated_ms: int) -> None:
        self.bench.read("mast", ["wind_speed", 3, "", stated_ms])
        self.readings += 1

    def _restart(self) -> None:
        self.bench.checkpoint()
        self.bench.restart()

    def _end(self) -> None:
        """Every window ends, those too that a clock a month ahead has opened."""
        for ahead_ms in (2 * HOUR, 31 * DAY):
            self.bench.clock.advance(ahead_ms)
            self._wait(5 * MINUTE)

    def _faults(self) -> list[str]:
        found, report = self.bench.audit(), self.bench.core.report()
        told = [(series, start_ms) for series, start_ms in self.centre.stored]
        smoke = sum(series.startswith("smoke,") for series, _ in told)
        minutes = {start_ms for series, start_ms in told if series.startswith("temperature,") and "mast" in series}
        numbers = {
            "readings received": (self.readings, found.balance["received"]),
            "readings open": (0, found.balance["open"]),
            "readings rejected": (0, found.balance["rejected"]),
            "changes of the alarm told": (self.toggles, smoke),
            "summaries at the centre": (found.balance["summaries"], len(told)),
            "steps counted": (self.steps, report.clock_steps),
            "rows restamped": (self.restamped, report.restamped),
        }
        wrong = [f"{what}: {got} and not {wanted}" for what, (wanted, got) in numbers.items() if wanted != got]
        late = found.balance["late"]
        missing = sorted(self.minutes - minutes)
        return [
            *found.faults,
            *self.centre.changed,
            *wrong,
            *([f"{late} readings late, of which {self.late} were"] if late > self.late else []),
            *([f"nothing told of {len(missing)} minutes, the first {missing[0]}"] if missing else []),
        ]


def run(count: int, folder: Path) -> Outcome:
    """So many scripts."""
    broken: list[str] = []
    lost = doubled = readings = steps = minutes = 0
    for seed in range(count):
        script = Script(folder / f"{seed}", seed)
        broken += [f"seed {seed}: {fault}" for fault in script.run()]
        doubled += len(script.centre.doubled)
        lost += max(0, script.readings - script.bench.core.report().received)
        readings, steps, minutes = readings + script.readings, steps + script.steps, minutes + len(script.minutes)
    seen = f"{readings:,} readings; {steps:,} steps of the clock; {minutes:,} minutes told where they belong"
    return Outcome(count, lost, doubled, seen, tuple(broken))


CAMPAIGNS: Final = [
    Campaign(
        name="clock",
        fault="a clock 3 s to 30 days off, at 1970 before it is known, set back and on, over summer time; devices at "
        "2000-01-01, late, or ahead",
        short=12,
        long=1_000,
        run=run,
    )
]
