"""Time as it is handed in: wall time that may be scaled, and a monotonic time that never is."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

from telemetry.errors import ConfigurationError


class Clock(Protocol):
    """Where every part of the system gets its time from."""

    def now(self) -> int:
        """Wall time: milliseconds since 1970-01-01 UTC. May be scaled; may be stepped."""
        ...

    def monotonic(self) -> float:
        """Seconds for I/O timers: real, never scaled, never stepped."""
        ...

    def until(self, time_ms: int) -> float:
        """Real seconds until wall time is `time_ms`; 0 when it has passed."""
        ...

    def passed(self, seconds: float) -> int:
        """Milliseconds of wall time that go by in so many real seconds."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> int:
        """Wall time of the machine."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Monotonic time of the machine."""
        return time.monotonic()

    def until(self, time_ms: int) -> float:
        """Real seconds until then."""
        return max(0.0, (time_ms - self.now()) / 1000)

    def passed(self, seconds: float) -> int:
        """As many milliseconds."""
        return round(seconds * 1000)


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """Time that began at `origin_ms` when the machine's clock showed `started_ms`, and runs `speed` times as fast.

    Processes that share the three numbers share the time, and one that restarts resumes the same day.
    """

    origin_ms: int
    started_ms: int
    speed: float

    @property
    def option(self) -> str:
        """The three numbers, as `--clock` takes them."""
        return f"{self.origin_ms},{self.started_ms},{self.speed}"

    def now(self) -> int:
        """Scaled wall time."""
        elapsed = time.time_ns() / 1_000_000 - self.started_ms
        return self.origin_ms + int(elapsed * self.speed)

    def monotonic(self) -> float:
        """Monotonic time of the machine, not scaled."""
        return time.monotonic()

    def until(self, time_ms: int) -> float:
        """Real seconds until then, fewer than scaled ones."""
        return max(0.0, (time_ms - self.now()) / 1000 / self.speed)

    def passed(self, seconds: float) -> int:
        """Scaled milliseconds, more than real ones."""
        return round(seconds * 1000 * self.speed)


@dataclass(slots=True)
class ManualClock:
    """Time that moves when it is told to: for tests and simulation."""

    now_ms: int = 0
    monotonic_s: float = 0.0

    def now(self) -> int:
        """The wall time it was set to."""
        return self.now_ms

    def monotonic(self) -> float:
        """The monotonic time it was moved to."""
        return self.monotonic_s

    def until(self, time_ms: int) -> float:
        """Seconds it would have to be moved by."""
        return max(0.0, (time_ms - self.now_ms) / 1000)

    def passed(self, seconds: float) -> int:
        """As many milliseconds."""
        return round(seconds * 1000)

    def advance(self, milliseconds: int) -> None:
        """Let both times pass."""
        self.now_ms += milliseconds
        self.monotonic_s += milliseconds / 1000

    def step(self, milliseconds: int) -> None:
        """Move wall time alone, as a time server does."""
        self.now_ms += milliseconds


def parse_clock(text: str) -> Clock:
    """The clock that `--clock ORIGIN_MS,STARTED_MS,SPEED` asks for; the machine's own for an empty text.

    Raises `ConfigurationError`.
    """
    if not text:
        return SystemClock()
    try:
        origin, started, speed = text.split(",")
        clock = ScaledClock(int(origin), int(started), float(speed))
    except ValueError:
        clock = None
    if clock is None or not (clock.speed > 0 and math.isfinite(clock.speed)):
        raise ConfigurationError(
            f"{text!r} is not ORIGIN_MS,STARTED_MS,SPEED",
            where="--clock",
            fix="give two times in milliseconds since 1970 and a speed over 0, such as 1760000400000,1760000000000,60",
        )
    return clock
