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

THIN: Final = "\N{THIN SPACE}"
MINUS: Final = "\N{MINUS SIGN}"


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
        number = f"{int(whole):,}".replace(",", THIN) + dot + part
        return f"{MINUS if ticks < 0 else ''}{number}{THIN if entry.symbol else ''}{entry.symbol}"

    def duration(self, minutes: int) -> str:
        """A time span, as coarse as it is long."""
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
