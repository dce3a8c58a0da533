"""The windows of a day against the ground truth: every mean and every count, exactly.

Compared are the windows of quantities whose summary is a mean, of devices that stamp their own readings, which ended
within the day. Where the agent's window is longer than the truth's, truth windows are merged and rounded as the privacy
rules say; where it is shorter, its windows are added up. Windows of a whole day are not over when the demo's day is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from edge_agent.windows import rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_agent.privacy.rules import Rule
    from edge_agent.timetable import CompiledTimetable
    from telemetry import Summary

    RuleOf: TypeAlias = Callable[[str, str], Rule]
    Stored: TypeAlias = Mapping[tuple[str, str, str, int], Mapping[int, Summary]]

MOST_EXAMPLES: Final = 5


class Span(NamedTuple):
    """A stretch of one series that can be compared, and the length of the summaries that tell of it."""

    device: str
    quantity: str
    channel: str
    start_ms: int
    end_ms: int
    window_s: int


class Sums(NamedTuple):
    """The sum of the slots' values in ticks, and how many slots were filled."""

    ticks: int
    n: int


@dataclass(slots=True)
class WindowsBalance:
    """How the stored windows compare."""

    compared: int = 0
    missing: int = 0
    """Spans of which nothing is stored."""
    mismatched: int = 0
    """Another mean or count than the truth's, or a window of a time of which there is nothing to tell."""
    not_over: int = 0
    """Truth windows inside windows which were not over at the end of the day."""
    untold: int = 0
    """Truth windows of rooms outside timetable hours: the policy keeps them, so nothing may be stored of them."""
    examples: list[str] = field(default_factory=list)

    def note(self, span: Span, what: str) -> None:
        """Keep the first few faults for a person to look at."""
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(f"{span.device} {span.quantity} {span.start_ms}/{span.window_s}: {what}")


class TruthWindows:
    """What must be at the centre of a day that ended at `end_ms`, by the truth and the agent's own rules."""

    def __init__(
        self, windows: Sequence[Mapping[str, Any]], rule_of: RuleOf, timetable: CompiledTimetable, end_ms: int
    ) -> None:
        self._rule_of = rule_of
        self._measured: dict[tuple[str, str, str], set[tuple[int, int]]] = defaultdict(set)
        self.due: dict[Span, Sums] = {}
        self.not_over = self.untold = 0
        for window in windows:
            device, quantity, channel = window["device"], window["quantity"], window["channel"]
            start_ms, end_of_window_ms = window["start_ms"], window["start_ms"] + window["window_s"] * 1000
            rule = rule_of(device, quantity)
            if rule.in_hours_only and not timetable.touches(start_ms):
                self.untold += 1
                continue
            self._measured[device, quantity, channel].add((start_ms, end_of_window_ms))
            told_ms, window_s = rule.window_at(start_ms, timetable)
            span_end_ms = max(told_ms + window_s * 1000, end_of_window_ms)
            if span_end_ms > end_ms:
                self.not_over += 1
                continue
            span = Span(device, quantity, channel, told_ms, span_end_ms, window_s)
            before = self.due.get(span, Sums(0, 0))
            self.due[span] = Sums(before.ticks + window["sum_ticks"], before.n + window["n"])

    def missing(self, stored: Sequence[Summary]) -> int:
        """How many spans no stored summary tells of."""
        series = _by_series(stored)
        return sum(not _told(span, series) for span in self.due)

    def compare(self, stored: Sequence[Summary]) -> WindowsBalance:
        """Hold every span that is due against what is stored, and what is stored against what was measured."""
        balance = WindowsBalance(not_over=self.not_over, untold=self.untold)
        series = _by_series(stored)
        for span, sums in self.due.items():
            told = _told(span, series)
            if not told:
                balance.missing += 1
                balance.note(span, "is not at the centre")
                continue
            balance.compared += 1
            says, should = self._two_sides(span, told, sums)
            if says != should:
                balance.mismatched += 1
                balance.note(span, f"says {says}, should say {should}")
        self._find_unmeasured(stored, balance)
        return balance

    def _two_sides(self, span: Span, told: Sequence[Summary], sums: Sums) -> tuple[Sums, Sums]:
        if len(told) == 1 and told[0].end_ms == span.end_ms and told[0].start_ms == span.start_ms:
            mean = rounded(sums.ticks, sums.n)
            coarse = self._rule_of(span.device, span.quantity).told({"mean": mean})["mean"]
            return Sums(told[0].fields["mean"], told[0].fields["n"]), Sums(coarse, sums.n)
        ticks = sum(summary.fields["mean"] * summary.fields["n"] for summary in told)
        return Sums(ticks, sum(summary.fields["n"] for summary in told)), sums

    def _find_unmeasured(self, stored: Sequence[Summary], balance: WindowsBalance) -> None:
        for summary in stored:
            series = summary.series
            measured = self._measured.get((series.device, series.quantity, series.channel))
            if measured is None or any(start < summary.end_ms and summary.start_ms < end for start, end in measured):
                continue
            balance.mismatched += 1
            span = Span(
                series.device, series.quantity, series.channel, summary.start_ms, summary.end_ms, series.window_s
            )
            balance.note(span, "tells of a time in which nothing was measured, or may be told")


def _by_series(stored: Sequence[Summary]) -> Stored:
    series: dict[tuple[str, str, str, int], dict[int, Summary]] = defaultdict(dict)
    for summary in stored:
        key = (summary.series.device, summary.series.quantity, summary.series.channel, summary.series.window_s)
        series[key][summary.start_ms] = summary
    return series


def _told(span: Span, series: Stored) -> list[Summary]:
    windows = series.get((span.device, span.quantity, span.channel, span.window_s), {})
    starts = range(span.start_ms, span.end_ms, span.window_s * 1000)
    return [windows[start] for start in starts if start in windows]
