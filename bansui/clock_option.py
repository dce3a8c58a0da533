"""The `--clock` option: time that several processes share, faster than the machine's."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from telemetry import Clock, ConfigurationError, ScaledClock, SystemClock

ClockOption = Annotated[
    str, typer.Option("--clock", help="ORIGIN_MS,STARTED_MS,SPEED: scaled time shared with other processes.")
]


class MalformedClock(ConfigurationError):
    """A `--clock` that names no time."""

    code = "malformed_clock"


def parse_clock(text: str) -> Clock:
    """The machine's clock, or the scaled one that `text` describes. Raises `MalformedClock`."""
    if not text:
        return SystemClock()
    try:
        origin_ms, started_ms, speed = text.split(",")
        clock = ScaledClock(int(origin_ms), int(started_ms), float(speed))
    except ValueError:
        clock = None
    if clock is None or not (math.isfinite(clock.speed) and clock.speed > 0):
        raise MalformedClock(
            f"--clock {text!r} is not ORIGIN_MS,STARTED_MS,SPEED",
            fix="such as 1760000400000,1760000400000,60",
        )
    return clock
