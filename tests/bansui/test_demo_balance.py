"""The demo's balance: each kind of fault, by one reading or one summary, is seen and counted."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest

from bansui.demo.balance import Balance, draw_up
from bansui.demo.windows import TruthWindows
from edge_agent.privacy.classes import classify
from edge_agent.privacy.rules import Rule
from edge_agent.store.audit import Audit
from edge_agent.store.balance import STAGES
from edge_agent.timetable import CompiledTimetable, Timetable
from telemetry import Placement, Role, Series, Summary, quantity
from tests.edge_agent.harness import STRICT

if TYPE_CHECKING:
    from collections.abc import Callable

_ZONE: Final = ZoneInfo("Asia/Shanghai")
_EIGHT: Final = int(dt.datetime(2026, 10, 12, 8, tzinfo=_ZONE).timestamp()) * 1000
_QUARTER: Final = 900_000
_END: Final = _EIGHT + 13 * _QUARTER
_PLACEMENTS: Final = {"co2-1": Placement.INDOOR, "th-yard": Placement.OUTDOOR, "pc-1": Placement.INDOOR}
_ROLES: Final = {"pc-1": Role.COMPUTER}
_TIMETABLE: Final = Timetable(_ZONE, frozenset(range(5)), ((dt.time(7, 30), dt.time(11)),))


def _rule(device: str, name: str) -> Rule:
    entry = quantity(name)
    placement = _PLACEMENTS[device]
    return Rule(entry, classify(entry, placement, _ROLES.get(device, Role.ROOM_SENSOR)), STRICT, placement)


def _truth_window(device: str, name: str, start_ms: int, ticks: int, n: int = 15) -> dict[str, Any]:
    sums = {"sum_ticks": ticks, "n": n, "expected": 15}
    return {"device": device, "quantity": name, "channel": "", "start_ms": start_ms, "window_s": 900, **sums}


def _summary(device: str, name: str, start_ms: int, window_s: int, fields: dict[str, int]) -> Summary:
    series = Series(name, "cn-002", "a", "a-101", device, window_s)
    return Summary(series, start_ms, fields)


def _sent(readings: int, guarantee: str = "at_least_once") -> dict[str, Any]:
    return {"guarantee": guarantee, "readings_sent": readings, "readings_confirmed": readings}


class Day:
    """A day that is in balance: twelve fine windows, an hour merged of three quarters, an hour of minutes."""

    def __init__(self) -> None:
        self.truth: dict[str, Any] = {
            "devices": {"co2-1": _sent(12_000), "pm-1": _sent(600, "at_most_once")},
            "windows": [_truth_window("co2-1", "carbon_dioxide", _EIGHT + i * _QUARTER, 15 * 812) for i in range(12)],
            "faults": [
                {"name": "uplink-outage", "at_ms": _EIGHT, "until_ms": _EIGHT + 3 * _QUARTER},
                {"name": "agent-kill", "at_ms": _EIGHT, "until_ms": _EIGHT},
            ],
        }
        self.exported = [
            _summary("co2-1", "carbon_dioxide", _EIGHT + i * _QUARTER, 900, {"mean": 800, "n": 15, "expected": 15})
            for i in range(12)
        ]
        self._add_minutes()
        self._add_merged_hour()
        self.devices = {
            "co2-1": {"received": 12_005, "duplicate": 5, "admitted": 12_000},
            "pm-1": {"received": 590, "admitted": 590},
        }
        numbers = dict.fromkeys(STAGES, 0) | {"acknowledged": len(self.exported), "summaries": len(self.exported)}
        self.audit = Audit(numbers, {}, self.devices, "0" * 16, 1, 0, None)
        self.stored = len(self.exported)

    def balance(self) -> Balance:
        windows = TruthWindows(self.truth["windows"], _rule, CompiledTimetable(_TIMETABLE), _END)
        return draw_up(self.truth, windows, self.audit, self.exported, self.stored)

    def _add_minutes(self) -> None:
        """The yard tells every minute: what adds up to the truth's quarters."""
        for i in range(13):
            start_ms, values = _EIGHT + i * _QUARTER, [1200 + minute for minute in range(15)]
            self.truth["windows"].append(_truth_window("th-yard", "temperature", start_ms, sum(values)))
            self.exported += [
                _summary("th-yard", "temperature", start_ms + k * 60_000, 60, {"mean": value, "n": 1, "expected": 1})
                for k, value in enumerate(values)
            ]

    def _add_merged_hour(self) -> None:
        """Where lessons begin within an hour, its window is the hour: of three quarters, rounded as one."""
        starts = [_EIGHT - i * _QUARTER for i in (1, 2, 3)]
        self.truth["windows"] += [_truth_window("co2-1", "temperature", start, 15 * 2100 + 8) for start in starts]
        fields = {"mean": 2101, "n": 45, "expected": 60}
        self.exported.append(_summary("co2-1", "temperature", _EIGHT - 4 * _QUARTER, 3600, fields))


def test_a_day_in_balance_has_no_failure() -> None:
    """Fine windows coarsened, quarters merged, minutes added up: all agree exactly."""
    balance = Day().balance()
    assert balance.failures == []
    assert (balance.windows.compared, balance.readings.duplicates) == (12 + 13 + 1, 5)


def test_a_day_window_is_not_compared() -> None:
    """What people switch is told of once a day, and the day is not over."""
    day = Day()
    day.truth["windows"].append(_truth_window("pc-1", "power", _EIGHT, 15_000))
    assert (day.balance().failures, day.balance().windows.not_over) == ([], 1)


def test_of_a_room_nothing_may_be_stored_outside_timetable_hours() -> None:
    """What the policy keeps is not missed; stored all the same, it is a fault."""
    day, early_ms = Day(), _EIGHT - 8 * _QUARTER
    day.truth["windows"].append(_truth_window("co2-1", "temperature", early_ms, 15 * 2100))
    balance = day.balance()
    assert (balance.failures, balance.windows.untold) == ([], 1)
    day.exported.append(_summary("co2-1", "temperature", early_ms, 3600, {"mean": 2100, "n": 15, "expected": 60}))
    assert day.balance().windows.mismatched == 1


def _change(index: int, **fields: int) -> Callable[[Day], None]:
    def change(day: Day) -> None:
        told = day.exported[index]
        day.exported[index] = dataclasses.replace(told, fields={**told.fields, **fields})

    return change


def _lose_a_reading(day: Day) -> None:
    day.devices["co2-1"]["received"] -= 1


def _double_a_reading(day: Day) -> None:
    day.devices["co2-1"]["received"] += 1


def _invent_a_reading(day: Day) -> None:
    day.devices["pm-1"]["received"] = 601


def _hear_a_stranger(day: Day) -> None:
    day.devices["nobody"] = {"received": 1}


def _reject_a_reading(day: Day) -> None:
    day.devices["co2-1"]["rejected"] = 1


def _leave_unconfirmed(day: Day) -> None:
    day.truth["devices"]["co2-1"]["readings_confirmed"] -= 1


def _lose_a_summary(day: Day) -> None:
    del day.exported[3]


def _store_a_summary_twice(day: Day) -> None:
    day.exported.append(copy.deepcopy(day.exported[3]))


def _lose_a_minute(day: Day) -> None:
    del day.exported[20]


def _tell_of_a_time_before(day: Day) -> None:
    day.exported[3] = dataclasses.replace(day.exported[3], start_ms=_EIGHT - 40 * _QUARTER)


def _shorten_the_outage(day: Day) -> None:
    day.truth["faults"][0]["until_ms"] -= 1


def _spare_the_agent(day: Day) -> None:
    del day.truth["faults"][1]


def _send_little(day: Day) -> None:
    day.truth["devices"]["co2-1"] = _sent(9_000)
    day.devices["co2-1"] = {"received": 9_000}


def _break_the_agents_balance(day: Day) -> None:
    day.audit.faults.append("received 5 is not 4")


@pytest.mark.parametrize(
    ("tamper", "failures"),
    [
        (_lose_a_reading, ["lost"]),
        (_double_a_reading, ["doubled"]),
        (_reject_a_reading, ["lost"]),
        (_invent_a_reading, ["invented"]),
        (_hear_a_stranger, ["invented"]),
        (_leave_unconfirmed, ["unconfirmed"]),
        (_lose_a_summary, ["missing", "summaries"]),
        (_store_a_summary_twice, ["summaries", "repeated"]),
        (_change(3, mean=850), ["mismatched"]),
        (_change(3, n=14), ["mismatched"]),
        (_change(-1, mean=2100), ["mismatched"]),
        (_lose_a_minute, ["mismatched", "summaries"]),
        (_change(20, mean=1), ["mismatched"]),
        (_tell_of_a_time_before, ["mismatched", "missing"]),
        (_shorten_the_outage, ["short_outage"]),
        (_spare_the_agent, ["no_kill"]),
        (_send_little, ["few_readings"]),
        (_break_the_agents_balance, ["agent_balance"]),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_") or None,
)
def test_one_fault_fails_the_balance(tamper: Callable[[Day], None], failures: list[str]) -> None:
    """Nothing is tolerated: one reading or one summary too few, too many or changed is seen, and named."""
    day = Day()
    tamper(day)
    assert day.balance().failures == failures


def test_losses_are_counted_in_readings() -> None:
    """A reading lost at one device does not make up for one doubled at another."""
    day = Day()
    day.truth["devices"]["co2-2"] = _sent(10)
    day.devices["co2-2"] = {"received": 11}
    _lose_a_reading(day)
    readings = day.balance().readings
    assert (readings.lost, readings.doubled) == (1, 1)


def test_a_balance_without_windows_proves_nothing() -> None:
    """A day of which nothing was compared is a failure, not a success."""
    day = Day()
    day.truth["windows"] = []
    assert "missing" in day.balance().failures
