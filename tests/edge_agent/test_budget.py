"""The privacy budget: what a slot costs is never understated, and no 24 hours cost more than was allowed."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.privacy.budget import DAY_MS, NANO, Budget, Charge, Moment, Spending
from edge_agent.privacy.privacy_time import PrivacyTime
from edge_agent.timetable import CompiledTimetable, Timetable
from telemetry import ManualClock
from tests.edge_agent.harness import DAY, HOUR, MINUTE, MONDAY_9, TIMETABLE


@pytest.mark.parametrize(
    ("rho_milli", "slots", "weight", "sigma_milli", "error95"),
    [(100, 8, 1, 6325, 13), (50, 8, 1, 8945, 18), (100, 8, 2, 8945, 18), (100, 6, 1, 5478, 11), (1000, 1, 1, 1000, 2)],
)
def test_the_noise_that_a_budget_asks_for(
    rho_milli: int, slots: int, weight: int, sigma_milli: int, error95: int
) -> None:
    """The figures that the design states, rounded up; and never less than one person."""
    budget = Budget.derive(rho_milli=rho_milli, slots=slots, weight=weight)
    assert (budget.sigma_milli, budget.error95) == (sigma_milli, error95)


@given(st.integers(1, 1000), st.integers(1, 24), st.integers(1, 768))
def test_a_day_of_slots_fits_and_is_not_understated(rho_milli: int, slots: int, weight: int) -> None:
    """Whatever the policy: the charge is at least the exact cost, sigma is the least that fits, and a day fits."""
    budget = Budget.derive(rho_milli=rho_milli, slots=slots, weight=weight)
    exact = Fraction(weight * NANO, 2) / Fraction(budget.sigma_milli, 1000) ** 2
    assert exact <= budget.charge_nano < exact + 1
    assert slots * budget.charge_nano <= budget.rho_nano == rho_milli * NANO // 1000
    if budget.sigma_milli > 1000:
        narrower = Fraction(weight * NANO, 2) / Fraction(budget.sigma_milli - 1, 1000) ** 2
        assert slots * -(-narrower.numerator // narrower.denominator) > budget.rho_nano


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["pass", "step", "restart", "reboot", "keep", "release"]),
        st.integers(0, 3 * DAY) | st.integers(0, HOUR),
        st.booleans(),
    ),
    max_size=60,
)


@given(EVENTS)
def test_no_24_hours_cost_more_than_the_budget(events: list[tuple[str, int, bool]]) -> None:
    """However time passes, jumps and stands still: released as soon as it fits, never more than rho in a real day."""
    budget = Budget.derive(rho_milli=100, slots=4, weight=1)
    clock, spending, real_ms = ManualClock(MONDAY_9, 1000.0), Spending(), 0
    time, kept = PrivacyTime(clock, spending), None
    released: list[int] = []
    before = 0
    for what, amount, is_back in events:
        match what:
            case "pass":
                clock.advance(amount)
                real_ms += amount
            case "step" if time.moment() is not None:  # else it is what sets the clock right
                clock.step(-amount if is_back else amount)
                kept = time.moment()
                assert kept is not None
                spending.keep(kept)  # as the core does after a step
            case "keep" if (kept := time.moment()) is not None:
                spending.keep(kept)
            case "restart" | "reboot":
                clock.advance(amount)
                real_ms += amount
                clock.monotonic_s = 5.0 if what == "reboot" else clock.monotonic_s
                time, before = PrivacyTime(clock, spending), spending.privacy_ms  # what was not kept is not counted
                if is_back:
                    time.believe()
            case "release":
                time.believe()
                now = time.now()
                while spending.spent(now) + budget.charge_nano <= budget.rho_nano:
                    spending.add(len(released), Charge(now, budget.charge_nano))
                    kept = time.moment()
                    assert kept is not None
                    spending.keep(kept)
                    released.append(real_ms)
        assert before <= time.now() <= real_ms, "it ran backwards, or faster than the world"
        before = time.now()
    for each in released:
        within = [other for other in released if each - DAY_MS < other <= each]
        assert len(within) * budget.charge_nano <= budget.rho_nano


def test_privacy_time_counts_what_passed_while_nobody_ran_once_it_is_believed() -> None:
    """By the wall clock after another start of the machine; by no more than the machine's own time after the same."""
    spending = Spending(privacy_ms=1000, kept=Moment(1000, MONDAY_9, 50_000))
    rebooted = PrivacyTime(ManualClock(MONDAY_9 + 8 * HOUR, 20.0), spending)
    assert (rebooted.now(), rebooted.moment()) == (1000, None)
    rebooted.believe()
    rebooted.believe()
    assert rebooted.now() == 1000 + 8 * HOUR
    jumped = PrivacyTime(ManualClock(MONDAY_9 + 30 * DAY, 50.0 + 60), spending)
    jumped.believe()
    assert jumped.now() == 1000 + MINUTE
    behind = PrivacyTime(ManualClock(MONDAY_9 - DAY, 20.0), spending)
    behind.believe()
    assert behind.now() == 1000


def test_the_slots_of_a_day_are_the_whole_hours_of_the_timetable() -> None:
    """As the world's clock cuts them, in a zone that is half an hour off too; the end of the day is an hour's end."""
    assert TIMETABLE.most_hours() == 6
    half_off = Timetable(ZoneInfo("Asia/Kolkata"), frozenset(range(5)), TIMETABLE.hours)
    assert half_off.most_hours() == 6  # 8:30 to 11:30, 13:30 to 16:30
    late = Timetable(ZoneInfo("Europe/Berlin"), frozenset(range(5)), ((dt.time(22), dt.time.max),))
    assert late.most_hours() == 2
    for table in (TIMETABLE, half_off, late):
        compiled = CompiledTimetable(table)
        days = range(MONDAY_9 - 9 * HOUR, MONDAY_9 + 400 * DAY, HOUR)
        hours = [hour for hour in days if compiled.lesson_hour(hour) is not None]
        most = max(sum(start <= hour < start + DAY for hour in hours) for start in hours[::5])
        assert most <= table.most_hours() + 1
        assert {compiled.lesson_hour(hour + MINUTE) for hour in hours} == set(hours)
