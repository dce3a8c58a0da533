"""One quantity of a room over a span: lines for the chart, one sentence, and the same numbers as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloud_sink.freshness import Freshness
from cloud_sink.latest import MAIN
from cloud_sink.limits import LIMITS, Over, judge
from cloud_sink.ranges import grid_lines
from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloud_sink.freshness import Judge
    from cloud_sink.limits import Limit
    from cloud_sink.ranges import GridLine
    from cloud_sink.timetable import Span
    from cloud_sink.wording import Wording
    from telemetry import Summary

MOST_LINES: Final = 6
"""Lines that can still be told apart; of more, the first are drawn, and the table has them all."""
_NAMED_GAPS: Final = 2


@dataclass(frozen=True, slots=True)
class Gap:
    """A span without data, and why, as far as the centre knows."""

    from_ms: int
    to_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure: what it is of, its data for the script, and its table."""

    id: str
    title: str
    unit: str
    summary: str
    verdict: str
    is_kept: bool | None
    data: str
    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What the charts of a page share: their span and step, the lessons in it, and who was offline when."""

    span: Span
    step_s: int
    lessons: Sequence[Span]
    is_one_day: bool
    was_offline: Callable[[int], bool]
    judge: Judge

    @property
    def step_ms(self) -> int:
        """The step in milliseconds."""
        return self.step_s * 1000


def charts(windows: Sequence[Summary], frame: Frame, wording: Wording) -> list[Chart]:
    """A chart for each main quantity there is; a line for each device."""
    made = []
    for quantity_id in MAIN:
        told = [window for window in windows if window.series.quantity == quantity_id]
        if told:
            made.append(_Drawing(quantity_id, told, frame, wording).chart())
    return made


class _Drawing:
    def __init__(self, quantity_id: str, told: Sequence[Summary], frame: Frame, wording: Wording) -> None:
        self._entry, self._told, self._frame, self._wording = quantity(quantity_id), told, frame, wording
        self._text = wording.text
        self._lines = grid_lines(told, *frame.span, frame.step_s)
        self._names = [_name(line) for line in self._lines]
        self._limit = LIMITS.get(quantity_id)
        self._gaps = self._find_gaps()

    def chart(self) -> Chart:
        verdict, is_kept = self._verdict()
        return Chart(
            id=self._entry.id,
            title=self._entry.label(self._text.short),
            unit=self._entry.symbol,
            summary=self._sentence(),
            verdict=verdict,
            is_kept=is_kept,
            data=json.dumps(self._data(), separators=(",", ":"), ensure_ascii=False),
            names=self._names,
            rows=self._rows(),
        )

    def _data(self) -> dict[str, object]:
        entry, frame = self._entry, self._frame
        return {
            "from": frame.span[0] // 1000,
            "to": frame.span[1] // 1000,
            "step": frame.step_s,
            "decimals": entry.decimals,
            "unit": entry.symbol,
            "names": self._names[:MOST_LINES],
            "values": [
                [None if n is None else entry.to_value(n) for n in line.ticks] for line in self._lines[:MOST_LINES]
            ],
            "limit": None if self._limit is None else self._limit.value,
            "limitLabel": "" if self._limit is None else limit_words(self._limit, self._wording),
            "gaps": [[gap.from_ms // 1000, gap.to_ms // 1000, gap.reason] for gap in self._gaps],
            "lessons": [[begin // 1000, end // 1000] for begin, end in frame.lessons],
            "lessonLabel": self._text("lesson"),
            "timezone": self._wording.timezone.key,
        }

    def _highest(self) -> list[int | None]:
        steps = zip(*(line.ticks for line in self._lines), strict=True)
        return [max((n for n in step if n is not None), default=None) for step in steps]

    def _find_gaps(self) -> list[Gap]:
        frame, found = self._frame, []
        newest = max(self._told, key=lambda window: window.end_ms)
        # What is not due yet is no gap.
        due_ms = newest.end_ms if frame.judge.freshness(newest) is Freshness.FRESH else frame.judge.now_ms
        start: int | None = None
        was_outside = False
        for index, highest in enumerate([*self._highest(), 0]):
            at_ms = min(frame.span[0] + index * frame.step_ms, due_ms)
            is_outside = self._is_outside(at_ms)
            if start is not None and (highest is not None or at_ms >= due_ms or is_outside is not was_outside):
                found.append(Gap(start, at_ms, self._reason(start, at_ms, is_outside=was_outside)))
                start = None
            if highest is None and start is None and at_ms < due_ms:
                start, was_outside = at_ms, is_outside
        return found

    def _is_outside(self, time_ms: int) -> bool:
        """Whether the policy let nothing be told then."""
        judge = self._frame.judge
        return judge.span_in_hours(self._told[-1]) is not None and judge.hours.is_outside(time_ms)

    def _reason(self, from_ms: int, to_ms: int, *, is_outside: bool) -> str:
        if is_outside:
            return self._text("gap.outside")
        quarter = (to_ms - from_ms) // 4
        is_offline = self._frame.was_offline(from_ms + quarter) and self._frame.was_offline(to_ms - quarter)
        return self._text("gap.offline" if is_offline else "gap.nothing")

    def _sentence(self) -> str:
        text, wording, entry = self._text, self._wording, self._entry
        known = [n for line in self._lines for n in line.ticks if n is not None]
        if not known:
            return text("chart.empty")
        low, high, mean = (wording.ticks(entry.id, n) for n in (min(known), max(known), round(sum(known) / len(known))))
        parts = [text("chart.span", low=low, high=high, mean=mean)]
        if self._limit is not None:
            passed = sum(n is not None and (n < self._limit.ticks) is self._limit.is_least and n != self._limit.ticks
                         for n in self._highest())  # fmt: skip
            minutes = passed * self._frame.step_s // 60
            key = "chart.below" if self._limit.is_least else "chart.above"
            parts.append(
                text(key, duration=wording.duration(minutes), limit=wording.ticks(entry.id, self._limit.ticks))
            )
        parts.append(self._gap_words())
        return text("list.semicolon").join(parts) + text("list.stop")

    def _gap_words(self) -> str:
        if not self._gaps:
            return self._text("chart.nogap")
        wording = self._wording
        named = [
            wording.text("gap.named", span=wording.span(gap.from_ms, gap.to_ms), reason=gap.reason)
            for gap in self._gaps[-_NAMED_GAPS:]
        ]
        spans = self._text("list.comma").join(named)
        if len(self._gaps) > _NAMED_GAPS:
            return self._text("chart.gaps.more", n=len(self._gaps), spans=spans)
        return self._text.count("chart.gaps", len(self._gaps), spans=spans)

    def _verdict(self) -> tuple[str, bool | None]:
        limit, text = self._limit, self._text
        if limit is None or not self._frame.is_one_day:
            return "", None
        judged = judge(limit, self._told, self._frame.lessons)
        words = limit_words(limit, self._wording)
        if judged.mean is None:
            return text("limit.unjudged", limit=words), None
        mean = self._wording.ticks(limit.quantity, judged.mean)
        key = "limit.kept" if judged.is_kept else "limit.passed"
        return text(key, limit=words, mean=mean, over=over_words(limit, self._wording, self._frame)), judged.is_kept

    def _rows(self) -> list[tuple[str, list[str]]]:
        wording, frame, blank = self._wording, self._frame, self._text("worst.nothing")
        rows = []
        for index, ticks in enumerate(zip(*(line.ticks for line in self._lines), strict=True)):
            start_ms = frame.span[0] + index * frame.step_ms
            if start_ms >= wording.now_ms:
                break
            cells = [blank if n is None else wording.ticks(self._entry.id, n) for n in ticks]
            rows.append((wording.clock(start_ms) if frame.is_one_day else wording.dated(start_ms), cells))
        return rows


def limit_words(limit: Limit, wording: Wording) -> str:
    """A limit's number, its averaging time and its standard."""
    return wording.text(f"limit.{limit.over}", value=wording.ticks(limit.quantity, limit.ticks), standard=limit.name)


def over_words(limit: Limit, wording: Wording, frame: Frame) -> str:
    """The time the mean beside a limit was really taken over."""
    over = Over.DAY if limit.over is not Over.EMPTY and not frame.lessons else limit.over
    is_running = over is Over.DAY and wording.now_ms < frame.span[1]
    return wording.text("over.sofar" if is_running else f"over.{over}")


def _name(line: GridLine) -> str:
    return f"{line.device}/{line.channel}" if line.channel else line.device
