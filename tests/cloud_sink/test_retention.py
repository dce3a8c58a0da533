"""The centre keeps a summary for as long as the policy says of its class, and no longer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cloud_sink.retention import expiries
from telemetry import ManualClock, PrivacyClass, quantities
from telemetry.policy import SHIPPED, load_policy
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, report, running_centre, sealed, summary

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DAY_MS = 86_400_000


def test_every_window_of_every_quantity_has_one_time_to_go(tmp_path: Path) -> None:
    """Whatever may be told; what a policy keeps for a day is there for a day, by the minute or by the day."""
    for name in SHIPPED:
        expired = expiries(load_policy(name, tmp_path), NOON_MS)
        for entry in quantities():
            for window_s in (1, 60, 900, 3600, 86_400):
                found = [
                    each
                    for each in expired
                    if entry.id in each.quantities and each.shortest_s <= window_s <= each.longest_s
                ]
                assert len(found) == (entry.least_class is not PrivacyClass.X)


def test_the_class_of_a_summary_is_read_off_its_window(tmp_path: Path) -> None:
    """CO2 by the minute is of outdoors, by the quarter of an hour of a room: each goes when its class says."""
    policy = load_policy("strict", tmp_path)
    days = {
        (each.shortest_s, each.longest_s): (NOON_MS - each.before_ms) // DAY_MS
        for each in expiries(policy, NOON_MS)
        if "carbon_dioxide" in each.quantities
    }
    assert days == {
        (0, 899): policy.tables.E.retention_days,
        (900, 86_400): policy.tables.P1.retention_days,
    }


def test_what_is_too_old_goes_and_the_balance_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_sink.projector.FORGET_EVERY_S", 0.0)
    with running_centre(tmp_path) as centre:
        kept = load_policy("strict", tmp_path).tables.P1.retention_days
        ages = (0, kept - 1, kept + 1, 3000)
        body = sealed(*(summary(start_ms=NOON_MS - days * DAY_MS) for days in ages))
        assert centre.post(body, 1).status_code == 204
        centre.settle()
        assert centre.post(sealed(summary(start_ms=NOON_MS + 900_000)), 2).status_code == 204
        centre.settle()
        balance = centre.client.get("/api/v1/balance").json()[0]
        assert (balance["summaries_received"], balance["summaries_stored"], balance["summaries_forgotten"]) == (5, 3, 2)
        assert centre.export().count("\n") == 3


def test_a_clock_that_is_a_year_ahead_deletes_nothing_and_is_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock whose battery is dead, and that was set by hand: what is deleted by it does not come back."""
    monkeypatch.setattr("cloud_sink.projector.FORGET_EVERY_S", 0.0)
    with running_centre(tmp_path) as centre:
        centre.write(summary())
    clock = ManualClock(NOON_MS + 4000 * DAY_MS)
    with running_centre(tmp_path, clock) as centre:
        for sequence in (2, 4):
            told_ms = NOON_MS + sequence * QUARTER_MS
            centre.write(summary(start_ms=told_ms - QUARTER_MS), sequence=sequence)
            centre.report(report(time_ms=told_ms), sequence + 1)
        assert centre.export().count("\n") == 3
        alarms = json.loads(centre.client.get("/api/v1/alarms").text)
        told = {(each["school"], each["since_ms"]) for each in alarms if each["kind"] == "centre_clock"}
        assert told == {("cn-002", told_ms), ("cn-014", told_ms)}
        assert "nothing is deleted until then" in centre.client.get("/", params={"lang": "en"}).text
        clock.now_ms = told_ms + DAY_MS
        centre.write(summary(start_ms=NOON_MS - 3000 * DAY_MS), sequence=6)
        centre.write(summary(start_ms=told_ms), sequence=7)
        assert "centre_clock" not in centre.client.get("/api/v1/alarms").text
        assert centre.export().count("\n") == 4, "it is too old, and goes by a clock that is right"
    assert caplog.text.count("is more than a day ahead") == 1
    assert caplog.text.count("agrees with what agents tell") == 1


def test_an_agent_whose_clock_is_further_ahead_vouches_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The centre is ten years ahead, and one agent's battery is dead too: what the others told stays."""
    monkeypatch.setattr("cloud_sink.projector.FORGET_EVERY_S", 0.0)
    with running_centre(tmp_path) as centre:
        centre.write(summary())
    clock = ManualClock(NOON_MS + 4000 * DAY_MS)
    with running_centre(tmp_path, clock) as centre:
        centre.report(report(time_ms=NOON_MS + 9000 * DAY_MS), 2)
        centre.write(summary(start_ms=NOON_MS + QUARTER_MS), sequence=3)
        alarms = json.loads(centre.client.get("/api/v1/alarms").text)
        assert {each["kind"] for each in alarms} == {"centre_clock", "agent_clock"}
        assert centre.export().count("\n") == 2
