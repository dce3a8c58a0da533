from __future__ import annotations

import json
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from cloud_sink.episodes import KEPT_MS, Episodes, runs
from cloud_sink.freshness import Freshness
from cloud_sink.hearing import Hearing
from cloud_sink.tallies import Tallies
from telemetry import ManualClock
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, report, running_centre, summary

if TYPE_CHECKING:
    from pathlib import Path

MINUTE_MS = 60_000
DAY_MS = 86_400_000
NEEDS_AIR = '<span class="code">A-301</span> needs air since 12:00.'
CHANNEL = ("cn-002", "a-301", "co2-a-301", "")


def test_a_run_of_bad_air_begins_after_the_last_calm_window_in_whatever_order_they_come() -> None:
    told = [(0, 1200), (1, 900), (2, 1010), (3, 1300)]
    for order in permutations(told):
        episodes = Episodes()
        for quarter, mean in order:
            episodes.note(CHANNEL, NOON_MS + quarter * QUARTER_MS, mean)
        assert episodes.since(CHANNEL, NOON_MS + QUARTER_MS) == NOON_MS + 2 * QUARTER_MS
        assert episodes.since(CHANNEL, NOON_MS + KEPT_MS + 3 * QUARTER_MS) is None
        episodes.note(CHANNEL, NOON_MS + 4 * QUARTER_MS, 1000)
        assert episodes.since(CHANNEL, NOON_MS) is None
    assert Episodes().since(CHANNEL, NOON_MS) is None


def test_a_sensor_that_is_never_calm_is_remembered_for_a_day() -> None:
    """One that is stuck says so for years."""
    episodes, windows = Episodes(), 60 * 96
    for quarter in range(windows):
        episodes.note(CHANNEL, NOON_MS + quarter * QUARTER_MS, 2000)
    now_ms = NOON_MS + windows * QUARTER_MS
    assert episodes.since(CHANNEL, now_ms) == now_ms - KEPT_MS + QUARTER_MS
    assert len(episodes._runs[CHANNEL].above) < 2 * 24 * 60


def test_the_bad_air_of_a_day_is_told_in_spans_the_longest_first() -> None:
    windows = [
        summary(start_ms=NOON_MS + quarter * QUARTER_MS, fields={"mean": mean}, room=room, device=f"co2-{room}")
        for room, quarter, mean in [
            ("a-1", 0, 1100),
            ("a-2", 0, 1200),
            ("a-2", 1, 1400),
            ("a-2", 3, 1050),
            ("a-3", 0, 900),
        ]
    ]
    told = [
        (e.room, (e.from_ms - NOON_MS) // QUARTER_MS, (e.to_ms - NOON_MS) // QUARTER_MS, e.peak) for e in runs(windows)
    ]
    assert told == [("a-2", 0, 2, 1400), ("a-1", 0, 1, 1100), ("a-2", 3, 4, 1050)]


def test_an_agent_is_late_and_then_offline_by_its_own_pace() -> None:
    hearing = Hearing()
    assert hearing.freshness("edge-1", NOON_MS) is Freshness.NEVER
    hearing.take(("edge-1", NOON_MS + n * 20 * MINUTE_MS) for n in range(4))
    last = NOON_MS + 60 * MINUTE_MS
    states = [hearing.freshness("edge-1", last + minutes * MINUTE_MS) for minutes in (39, 40, 119, 120)]
    assert states == [Freshness.FRESH, Freshness.LATE, Freshness.LATE, Freshness.STALE]
    hearing.take([("edge-2", NOON_MS)])
    states = [hearing.freshness("edge-2", NOON_MS + minutes * MINUTE_MS) for minutes in (9, 10, 29, 30)]
    assert states == [Freshness.FRESH, Freshness.LATE, Freshness.LATE, Freshness.STALE]


def test_a_silence_that_is_over_is_remembered_as_one() -> None:
    hearing = Hearing()
    hearing.take(("edge-1", NOON_MS + minutes * MINUTE_MS) for minutes in (0, 5, 10, 15, 75, 80))
    offline = [
        hearing.was_offline("edge-1", NOON_MS + minutes * MINUTE_MS) for minutes in (-1, 7, 16, 74, 76, 109, 110)
    ]
    assert offline == [True, False, True, True, False, False, True]


def test_moments_by_a_clock_that_was_set_back_are_forgotten() -> None:
    """Else no agent had been heard until the centre's clock shows again what it showed before."""
    hearing = Hearing()
    hearing.take(("edge-1", NOON_MS + DAY_MS + minutes * MINUTE_MS) for minutes in (0, 5, 10))
    hearing.take(("edge-1", NOON_MS + minutes * MINUTE_MS) for minutes in (0, 5, 10, 15))
    offline = [hearing.was_offline("edge-1", NOON_MS + minutes * MINUTE_MS) for minutes in (-1, 2, 7, 16, 45)]
    assert offline == [True, False, False, False, True]


def test_rooms_are_counted_in_each_quarter_hour_and_what_comes_late_fills_it() -> None:
    tallies = Tallies()
    tallies.take([summary(), summary(fields={"mean": 1200}, room="a-302", device="co2-a-302")])
    later = NOON_MS + 6 * QUARTER_MS
    tallies.take([summary(start_ms=later - QUARTER_MS)])
    # A quarter's window is fresh for three more quarters after its end.
    assert tallies.history(NOON_MS, later) == ([2, 2, 2, 2, 0, 1], [1, 0, 0, 0, 0, 0])
    tallies.take([summary(start_ms=NOON_MS + 3 * QUARTER_MS, fields={"mean": 1200})])
    assert tallies.history(NOON_MS, later) == ([2, 2, 2, 2, 1, 1], [1, 0, 0, 1, 0, 0])
    tallies.take([summary("energy", later, {"delta": 1}, device="meter")])
    assert len(tallies.history(NOON_MS, later + 9 * QUARTER_MS)[0]) == 6, "what no window has reached is not told"


def test_what_the_pages_remember_survives_a_restart(tmp_path: Path) -> None:
    clock = ManualClock(NOON_MS + 3 * QUARTER_MS)
    shown = []
    with running_centre(tmp_path, clock) as centre:
        centre.write(*(summary(start_ms=NOON_MS + n * QUARTER_MS, fields={"mean": 1200}) for n in range(3)))
        shown.append(centre.client.get("/", params={"lang": "en"}).text)
    with running_centre(tmp_path, clock) as centre:
        shown.append(centre.client.get("/", params={"lang": "en"}).text)
    assert NEEDS_AIR in shown[0]
    assert shown[0] == shown[1]


@pytest.mark.parametrize(("days", "is_alarm"), [(-1, False), (0, True), (13, True), (14, False)])
def test_a_certificate_that_ends_soon_is_an_alarm(tmp_path: Path, days: int, *, is_alarm: bool) -> None:
    """Since the day on which two weeks were left; -1 is a line without a certificate."""
    with running_centre(tmp_path, ManualClock(NOON_MS)) as centre:
        centre.report(report(time_ms=NOON_MS, certificate_days=days), 1)
        found = [alarm for alarm in centre.client.get("/api/v1/alarms").json() if alarm["kind"] == "certificate"]
    began = NOON_MS // DAY_MS * DAY_MS - (13 - days) * DAY_MS
    assert [(alarm["agent"], alarm["since_ms"]) for alarm in found] == [("edge-1", began)] * is_alarm


def test_windows_of_times_to_come_hide_nothing_and_are_an_alarm(tmp_path: Path) -> None:
    """An agent whose clock was set to local time for UTC is eight hours ahead."""
    clock = ManualClock(NOON_MS + 2 * QUARTER_MS)
    ahead_ms = clock.now_ms + 8 * 3600 * 1000
    bad = [summary(start_ms=NOON_MS + quarter * QUARTER_MS, fields={"mean": 1200}) for quarter in range(2)]
    paths = ("/?lang=en", "/school/cn-002/room/a-301", "/api/v1/latest?school=cn-002", "/api/v1/alarms")
    shown = []
    with running_centre(tmp_path, clock) as centre:
        centre.write(summary(start_ms=ahead_ms, fields={"mean": 600}), *bad)
        centre.report(report(time_ms=ahead_ms), 2)
        shown.append([centre.client.get(path).text for path in paths])
        assert str(ahead_ms) in centre.export(), "it is kept for its time"
    with running_centre(tmp_path, clock) as centre:
        shown.append([centre.client.get(path).text for path in paths])
    assert shown[0] == shown[1]
    overview, room, latest, alarms = shown[0]
    assert NEEDS_AIR in overview
    assert "20:30" not in room
    assert [(told["value"], told["age_ms"]) for told in json.loads(latest)] == [(1200.0, 0)]
    assert [(alarm["kind"], alarm["agent"]) for alarm in json.loads(alarms)] == [("agent_clock", "edge-1")]
