"""What left the school today, from the egress ledger, as of the last full hour: for anyone in the school to look at.

Each hour is read once, by a connection that can only read, on a thread of whoever asks first.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.privacy.egress import Totals, tally, together
from edge_agent.store import batches
from telemetry import ContractViolation, decode_all
from telemetry.uplink_contract import unseal

if TYPE_CHECKING:
    import zoneinfo
    from collections.abc import Callable
    from pathlib import Path

    from telemetry import Summary

HOUR_MS: Final = 3_600_000
_DEVICE: Final = re.compile(r"\bdevice=[^, ]+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it left, but for the device's code."""

    text: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class Sample:
    """A batch that the centre has acknowledged, and some of its lines."""

    sealed_ms: int
    summaries: int
    length: int
    """Bytes as they left, packed and padded."""
    digest: str
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Today:
    """A day up to its last full hour."""

    until_ms: int
    totals: Totals
    sample: Sample | None


class TodayReader:
    """Reads the ledger in `folder`, an hour at a time."""

    def __init__(self, folder: Path, zone: zoneinfo.ZoneInfo, class_of: Callable[[str, str], str]) -> None:
        self._folder = folder
        self._zone = zone
        self._class_of = class_of
        self._hours: dict[int, Totals] = {}
        self._seen: Today | None = None

    def until(self, now_ms: int) -> int:
        """The last full hour of the local day; midnight in its first hour."""
        midnight_ms = self._midnight(now_ms)
        return midnight_ms + (now_ms - midnight_ms) // HOUR_MS * HOUR_MS

    def look(self, now_ms: int) -> Today:
        """What left, the same for a whole hour. Raises `StoreUnusable`."""
        until_ms = self.until(now_ms)
        if self._seen is None or self._seen.until_ms != until_ms:
            self._seen = self._read(self._midnight(now_ms), until_ms)
        return self._seen

    def _read(self, midnight_ms: int, until_ms: int) -> Today:
        hours = range(midnight_ms, until_ms, HOUR_MS)
        self._hours = {begin_ms: totals for begin_ms, totals in self._hours.items() if begin_ms in hours}
        for begin_ms in hours:
            if begin_ms not in self._hours:
                entries = batches.read(self._folder, begin_ms, begin_ms + HOUR_MS)
                self._hours[begin_ms] = tally(entries, self._class_of, lambda _: "").get("", Totals())
        whole = together(self._hours.values())
        states = tally(
            batches.read(self._folder, midnight_ms, until_ms, with_bodies=False), self._class_of, lambda _: ""
        )
        if states:
            whole.states = states[""].states  # what was waiting an hour ago has been answered since
        return Today(until_ms, whole, self._sample(midnight_ms, until_ms))

    def _sample(self, midnight_ms: int, until_ms: int) -> Sample | None:
        found = batches.fullest(self._folder, midnight_ms, until_ms)
        if found is None:
            return None
        sealed_ms, body = found
        try:
            text = unseal(body)
            summaries = decode_all(text)
        except ContractViolation:
            return None
        whole = [
            Line(_DEVICE.sub("device=…", line), each)
            for line, each in zip(text.decode().splitlines(), summaries, strict=True)
        ]
        return Sample(sealed_ms, len(whole), len(body), hashlib.sha256(body).hexdigest(), _one_of_each(whole, until_ms))

    def _midnight(self, now_ms: int) -> int:
        day = dt.datetime.fromtimestamp(now_ms / 1000, self._zone).date()
        return int(dt.datetime.combine(day, dt.time.min, self._zone).timestamp() * 1000)


def _one_of_each(lines: list[Line], until_ms: int) -> list[Line]:
    """One line of each quantity: of another room from hour to hour, so that none has its values here for good."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.summary.series.quantity, []).append(line)
    turn = until_ms // HOUR_MS
    return [of_one[turn % len(of_one)] for of_one in found.values()]
