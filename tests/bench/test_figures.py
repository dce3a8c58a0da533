"""What measurements work out, and where they write it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest

import bench
from bench import _report, _weekend
from bench._centre import Arrived
from bench._report import Part, write
from bench.backlog import behind_s
from bench.latency import within
from bench.soak import slope
from telemetry import Series, Summary

if TYPE_CHECKING:
    from pathlib import Path

PART = Part(columns=("what", "how many"), rows=[("one-two", "1")], picture="<svg/>", caption="It")


def test_every_measurement_has_its_part() -> None:
    """The README has a place for each that gives figures, once."""
    readme = _report.README.read_text()
    giving = []
    for module in pkgutil.iter_modules(bench.__path__):
        if not module.name.startswith("_"):
            measure = importlib.import_module(f"bench.{module.name}").measure
            giving += [module.name] * (measure.__annotations__["return"] == "Part")
    assert {"listener", "latency", "intake", "scale", "backlog", "start", "soak", "peers"} == set(giving)
    for name in giving:
        assert readme.count(f"<!-- {name}: written by make bench -->\n") == 1
        assert readme.count(f"<!-- end of {name} -->") == 1


def test_a_part_replaces_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood there before is gone, all else stays, and a part without a place is said."""
    readme = tmp_path / "README.md"
    around = "a\n<!-- one: written by make bench -->\nold\n<!-- end of one -->\nb\n"
    readme.write_text(around)
    monkeypatch.setattr(_report, "README", readme)
    monkeypatch.setattr(_report, "FOLDER", tmp_path)
    for _ in range(2):
        write("one", PART, 0.25)
    text = readme.read_text()
    assert text.startswith("a\n<!-- one: written by make bench -->\n\nMeasured on ")
    assert "other work took 25% of the machine" in text
    assert "| what | how many |\n| --- | ---: |\n| one-two | 1 |\n\n![It](one.svg)\n\n<!-- end of one -->\nb\n" in text
    assert "old" not in text
    assert (tmp_path / "one.svg").read_text() == "<svg/>"
    with pytest.raises(SystemExit, match="no part for two"):
        write("two", PART, 0.0)


def test_slope() -> None:
    """A line's own, whatever it starts from; what goes up and down again rises nowhere."""
    assert slope([7 + 0.5 * second for second in range(100)]) == pytest.approx(0.5)
    assert slope([60.0, 61.0, 60.0, 61.0, 60.0]) == pytest.approx(0)


def test_the_bound_under_which_commits_stayed() -> None:
    """Of the journal's alone, and the first bound that is high enough; above them all there is none."""
    name = 'bansui_agent_commit_seconds_bucket{{kind="{}",le="{}"}}'
    metrics = {name.format("seal", "0.005"): 500.0, name.format("seal", "+Inf"): 500.0}
    metrics |= {name.format("journal", le): count for le, count in (("0.01", 98.0), ("0.02", 99.0), ("+Inf", 100.0))}
    assert within(metrics, 0.98) == 0.01
    assert within(metrics, 0.99) == 0.02
    assert within(metrics, 1.0) == float("inf")


def test_only_live_windows_can_be_behind() -> None:
    """Those of the backlog are what has to be drained; of the others the time from when they could close."""
    series = Series("temperature", "bench", "a", "a-1", "d-1", 900)
    fields = {"mean": 200, "n": 15, "expected": 15}
    starts = (_weekend.ENDS_MS - 900_000, _weekend.ENDS_MS)
    closable_ms = _weekend.ENDS_MS + 900_000 + 120_000
    late_ms = int(3 * 1000 * _weekend.SPEED)
    batch = Arrived(closable_ms + late_ms, 4096, [Summary(series, start, fields) for start in starts])
    assert list(behind_s([batch])) == [3.0]
