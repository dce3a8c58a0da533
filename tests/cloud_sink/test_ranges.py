from __future__ import annotations

import pytest

from cloud_sink.latest import LatestValues
from cloud_sink.ranges import RangeFault, grid_lines
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, summary

HOUR_MS = 4 * QUARTER_MS


def test_a_step_without_a_window_is_a_gap() -> None:
    told = [summary(start_ms=NOON_MS), summary(start_ms=NOON_MS + 2 * QUARTER_MS)]
    (line,) = grid_lines(told, NOON_MS, NOON_MS + HOUR_MS, 900)
    assert line.ticks == [850, None, 850, None]
    assert line.window_s == [900, None, 900, None]


def test_a_window_longer_than_the_step_fills_every_step_it_covers_unless_a_finer_one_is_there() -> None:
    hour = summary(start_ms=NOON_MS, fields={"mean": 700}, window_s=3600)
    quarter = summary(start_ms=NOON_MS + QUARTER_MS, fields={"mean": 900})
    (line,) = grid_lines([hour, quarter], NOON_MS, NOON_MS + HOUR_MS, 900)
    assert line.ticks == [700, 900, 700, 700]
    assert line.window_s == [3600, 900, 3600, 3600]


def test_windows_shorter_than_the_step_are_averaged_by_their_filled_slots() -> None:
    told = [
        summary(start_ms=NOON_MS, fields={"mean": 800, "min": 700, "max": 1000, "n": 15}),
        summary(start_ms=NOON_MS + QUARTER_MS, fields={"mean": 1200, "min": 900, "max": 1300, "n": 5}),
    ]
    (line,) = grid_lines(told, NOON_MS, NOON_MS + HOUR_MS, 3600)
    assert (line.ticks, line.low, line.high) == ([900], [700], [1300])


def test_increases_are_summed_and_of_states_the_last_stands() -> None:
    energy = [summary("energy", NOON_MS + i * QUARTER_MS, {"delta": 5, "n": 15}) for i in range(4)]
    states = [summary("fault", NOON_MS + i * QUARTER_MS, {"last": i % 3, "n": 15}) for i in range(4)]
    assert grid_lines(energy, NOON_MS, NOON_MS + HOUR_MS, 3600)[0].ticks == [20]
    assert grid_lines(states, NOON_MS, NOON_MS + HOUR_MS, 3600)[0].ticks == [0]


def test_devices_and_channels_have_lines_of_their_own() -> None:
    told = [summary(device="a"), summary(device="b", channel="1"), summary(device="b", channel="2")]
    assert [(line.device, line.channel) for line in grid_lines(told, NOON_MS, NOON_MS + 1, 900)] == [
        ("a", ""),
        ("b", "1"),
        ("b", "2"),
    ]


@pytest.mark.parametrize("to_ms", [NOON_MS, NOON_MS - 1, NOON_MS + 5001 * 900_000])
def test_a_span_without_steps_or_with_too_many_is_refused(to_ms: int) -> None:
    with pytest.raises(RangeFault):
        grid_lines([], NOON_MS, to_ms, 900)


def test_the_last_window_stays_when_an_older_one_comes_later_and_gives_way_to_its_revision() -> None:
    latest, first, second = LatestValues(), summary(), summary(start_ms=NOON_MS + QUARTER_MS)
    revised = summary(start_ms=NOON_MS + QUARTER_MS, fields={"mean": 900}, revision=1)
    assert latest.take([second, first]) == [second]
    assert latest.take([revised, second]) == [revised]
    assert latest.of_school("cn-002") == latest.of_room("cn-002", "a-301") == [revised]
    assert latest.of_room("cn-002", "a-302") == latest.of_school("cn-014") == []


def test_a_window_that_tells_only_how_many_slots_were_filled_has_no_value() -> None:
    (line,) = grid_lines([summary(fields={"n": 0, "expected": 15})], NOON_MS, NOON_MS + QUARTER_MS, 900)
    assert (line.ticks, line.window_s) == ([None], [900])
