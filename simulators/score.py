"""What arrived at a centre, held against what was true: completeness, error, and which broken sensors show.

Completeness and error are of the windows that the truth knows: of devices that stamp their readings, of quantities
whose summary is a mean. What a school's policy keeps to itself is missing at the centre, and counts as missing here:
nothing in the truth says what a policy is. A mean may be rounded by the policy; the error says by how much.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulators.suspicion import drifting, stuck
from telemetry.vocabulary import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from telemetry import Summary

MARKED: Final = frozenset(("stuck", "drift", "spike"))
"""Faults that make a sensor say what is not so."""


class _Sum(NamedTuple):
    ticks: int
    perfect: int | None
    n: int
    is_marked: bool


@dataclass(slots=True)
class Errors:
    """How far means are off, in the quantity's unit."""

    windows: int = 0
    mean: float = 0.0
    """Signed: a bias."""
    mean_absolute: float = 0.0
    worst: float = 0.0

    @classmethod
    def of(cls, errors: Sequence[float]) -> Errors:
        """Of single errors."""
        if not errors:
            return cls()
        sizes = [abs(error) for error in errors]
        return cls(len(errors), statistics.fmean(errors), statistics.fmean(sizes), max(sizes))


@dataclass(slots=True)
class QuantityScore:
    """One quantity."""

    unit: str
    windows: int = 0
    """Quarter hours that the truth knows."""
    arrived: int = 0
    """Those that a summary at the centre tells of."""
    slots: int = 0
    slots_arrived: int = 0
    """Values behind the means, in windows that arrived."""
    sent: Errors = field(default_factory=Errors)
    """Against what devices sent."""
    physics: Errors = field(default_factory=Errors)
    """Against a perfect sensor, by sensors that nothing was wrong with."""


@dataclass(slots=True)
class Detection:
    """One sensor that was made to lie."""

    device: str
    fault: str
    at_ms: int
    found_ms: int | None
    """The end of the window by which the series alone gave it away; None where it did not."""


@dataclass(slots=True)
class Tally:
    """How well one fault shows."""

    struck: int
    found: int
    false: int
    """Sensors that seemed so, and that nothing was done to."""


@dataclass(slots=True)
class Score:
    """All of it."""

    quantities: dict[str, QuantityScore]
    detections: list[Detection]
    false_alarms: list[tuple[str, str]]
    """Sensors that nothing was wrong with, and what they seemed."""
    unknown_devices: list[str]
    """At the centre and not in the truth."""

    @property
    def tallies(self) -> dict[str, Tally]:
        """By fault that a sensor can give away."""
        return {
            name: Tally(
                sum(each.fault == name for each in self.detections),
                sum(each.fault == name and each.found_ms is not None for each in self.detections),
                sum(what == name for _, what in self.false_alarms),
            )
            for name in ("stuck", "drift")
        }

    @property
    def completeness(self) -> float:
        """The share of the truth's windows that arrived; 1 of none."""
        windows = sum(each.windows for each in self.quantities.values())
        return sum(each.arrived for each in self.quantities.values()) / windows if windows else 1.0


def score(truth: Mapping[str, Any], summaries: Sequence[Summary]) -> Score:
    """Hold the summaries of a school against its truth, schema 2."""
    windows: dict[tuple[str, str], dict[int, _Sum]] = defaultdict(dict)
    for window in truth["windows"]:
        windows[window["device"], window["quantity"]][window["start_ms"]] = _Sum(
            window["sum_ticks"],
            window["physics_sum_ticks"],
            window["n"],
            bool(MARKED & set(window["faults"])),
        )
    stored: dict[tuple[str, str], list[Summary]] = defaultdict(list)
    for summary in summaries:
        if "mean" in summary.fields:
            stored[summary.series.device, summary.series.quantity].append(summary)
    found = _suspects(stored)
    return Score(
        dict(sorted(_quantities(windows, stored))),
        [
            Detection(fault["device"], fault["name"], fault["at_ms"], _when(found, fault))
            for fault in truth["faults"]
            if fault["name"] in ("stuck", "drift")
        ],
        _false_alarms(found, truth["faults"]),
        sorted({summary.series.device for summary in summaries} - set(truth["devices"])),
    )


def _quantities(
    windows: Mapping[tuple[str, str], Mapping[int, _Sum]], stored: Mapping[tuple[str, str], Sequence[Summary]]
) -> Iterator[tuple[str, QuantityScore]]:
    for name in {name for _, name in windows}:
        entry = quantity(name)
        scale, unit = 10.0**-entry.decimals, entry.symbol
        result, sent, physics = QuantityScore(unit), list[float](), list[float]()
        for (device, of), known in windows.items():
            if of != name:
                continue
            result.windows += len(known)
            result.slots += sum(each.n for each in known.values())
            for told, mean_ticks, n in _told(stored.get((device, of), ()), known):
                result.arrived += len(told)
                result.slots_arrived += n
                total = sum(each.n for each in told)
                sent.append(scale * (mean_ticks - sum(each.ticks for each in told) / total))
                perfect = [each.perfect for each in told if each.perfect is not None]
                if len(perfect) == len(told) and not any(each.is_marked for each in told):
                    physics.append(scale * (mean_ticks - sum(perfect) / total))
        result.sent, result.physics = Errors.of(sent), Errors.of(physics)
        yield name, result


def _told(stored: Sequence[Summary], known: Mapping[int, _Sum]) -> Iterator[tuple[list[_Sum], float, int]]:
    """The truth's windows, the mean in ticks and the number of values, of each stretch that can be compared.

    A summary may tell of several of the truth's windows, or several summaries of one.
    """
    parts: dict[int, list[Summary]] = defaultdict(list)
    for summary in stored:
        if summary.series.window_s >= 900:
            told = [known[at] for at in range(summary.start_ms, summary.end_ms, 900_000) if at in known]
            if told:
                yield told, summary.fields["mean"], summary.fields["n"]
        else:
            parts[summary.start_ms - summary.start_ms % 900_000].append(summary)
    for start_ms, summaries in parts.items():
        n = sum(summary.fields["n"] for summary in summaries)
        if start_ms in known and n:
            yield [known[start_ms]], sum(each.fields["mean"] * each.fields["n"] for each in summaries) / n, n


def _suspects(stored: Mapping[tuple[str, str], Sequence[Summary]]) -> dict[tuple[str, str], int]:
    """When each device first seemed stuck, or to drift, from what is stored alone."""
    found: dict[tuple[str, str], int] = {}
    for name in {name for _, name in stored}:
        series = {device: _means(summaries) for (device, of), summaries in stored.items() if of == name}
        for what, detect in (("stuck", stuck), ("drift", drifting)):
            for device, at_ms in detect(name, series).items():
                found[device, what] = min(at_ms, found.get((device, what), at_ms))
    return found


def _means(summaries: Sequence[Summary]) -> dict[int, float]:
    """The mean of each quarter hour, by its end; of a summary of a longer time, by the end of that."""
    scale = 10.0 ** -quantity(summaries[0].series.quantity).decimals
    parts: dict[int, list[Summary]] = defaultdict(list)
    for summary in sorted(summaries, key=lambda each: each.start_ms):
        parts[-(-summary.end_ms // 900_000) * 900_000].append(summary)
    return {
        end: scale * sum(each.fields["mean"] * each.fields["n"] for each in told) / n
        for end, told in parts.items()
        if (n := sum(each.fields["n"] for each in told))
    }


def _when(found: Mapping[tuple[str, str], int], fault: Mapping[str, Any]) -> int | None:
    at_ms = found.get((fault["device"], fault["name"]))
    return at_ms if at_ms is not None and at_ms > fault["at_ms"] else None


def _false_alarms(found: Mapping[tuple[str, str], int], faults: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    guilty = {fault["device"] for fault in faults if fault["name"] in MARKED}
    return sorted((device, what) for device, what in found if device not in guilty)
