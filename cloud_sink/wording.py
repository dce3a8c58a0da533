"""Numbers and times as a person reads them, in the school's zone and the reader's language."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cloud_sink.ranges import value_of
from telemetry import quantity
from telemetry.summaries import MEASURED_FIELDS

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from cloud_sink.text import Text
    from telemetry import Summary

THIN: Final = "\N{NARROW NO-BREAK SPACE}"
MINUS: Final = "\N{MINUS SIGN}"
_YEAR_MINUTES: Final = 366 * 24 * 60


class Wording:
    """Formats for one reader at one moment."""

    def __init__(self, text: Text, timezone: ZoneInfo, now_ms: int) -> None:
        self.text = text
        self.timezone = timezone
        self.now_ms = now_ms

    def local(self, time_ms: int) -> datetime:
        """A moment in the school's zone."""
        return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(self.timezone)

    @property
    def today(self) -> date:
        """The school's date."""
        return self.local(self.now_ms).date()

    def day_span(self, day: date) -> tuple[int, int]:
        """First millisecond of a day and of the next, in the school's zone."""
        bounds = (datetime(d.year, d.month, d.day, tzinfo=self.timezone) for d in (day, day + timedelta(days=1)))
        start, end = (int(bound.timestamp() * 1000) for bound in bounds)
        return start, end

    def time(self, time_ms: int) -> str:
        """Hours and minutes; with the date in front when it is another day."""
        local = self.local(time_ms)
        return f"{local:%H:%M}" if local.date() == self.today else f"{local:%m-%d %H:%M}"

    def value(self, summary: Summary) -> str:
        """The window's number with its unit, or its state in words."""
        told = value_of(summary)
        if told is None:
            return self.text("worst.nothing")
        name, number = told
        entry = quantity(summary.series.quantity)
        if name == "on_permille":
            return self.text("share.on", p=f"{number / 10:.1f}")
        if name == "last" and entry.states:
            return self.text(f"value.{entry.states[number]}")
        return self.ticks(entry.id, number) if name in MEASURED_FIELDS else str(number)

    def ticks(self, quantity_id: str, ticks: int) -> str:
        """A number of ticks with the quantity's decimals and unit."""
        entry = quantity(quantity_id)
        whole, dot, part = entry.to_text(abs(ticks)).partition(".")
        number = self.grouped(int(whole)) + dot + part
        return f"{MINUS if ticks < 0 else ''}{number}{THIN if entry.symbol else ''}{entry.symbol}"

    def grouped(self, number: int) -> str:
        """A whole number with thin spaces, at which no line ends, between its thousands."""
        return f"{number:,}".replace(",", THIN)

    def seconds(self, milliseconds: int) -> str:
        """An offset in seconds, with its sign."""
        sign = MINUS if milliseconds < 0 else "+"
        return self.text("seconds", s=f"{sign}{abs(milliseconds) / 1000:.2f}")

    def clock(self, time_ms: int) -> str:
        """Hours and minutes alone."""
        return f"{self.local(time_ms):%H:%M}"

    def span(self, from_ms: int, to_ms: int) -> str:
        """From one moment to another; with dates when it is not within today, or ends with today."""
        start, end = self.local(from_ms), self.local(to_ms - 1)
        last = self.time(to_ms) if start.date() != end.date() else self.clock(to_ms)
        return f"{self.time(from_ms)}\N{EN DASH}{last}"

    def dated(self, time_ms: int) -> str:
        """Date, hours and minutes."""
        return f"{self.local(time_ms):%m-%d %H:%M}"

    def duration(self, minutes: int) -> str:
        """A time span, as coarse as it is long; nobody counts on a buffer for more than a year."""
        if minutes > _YEAR_MINUTES:
            return self.text("duration.year")
        if minutes >= 2 * 24 * 60:
            return self.text("duration.days", d=minutes // (24 * 60))
        if minutes >= 60:
            return self.text("duration.hours", h=minutes // 60, m=minutes % 60)
        return self.text("duration.minutes", m=minutes)

    def window(self, seconds: int) -> str:
        """A window's length."""
        if seconds % 3600 == 0:
            return self.text("window.hours", h=seconds // 3600)
        return (
            self.text("window.minutes", m=seconds // 60)
            if seconds % 60 == 0
            else self.text("window.seconds", s=seconds)
        )
