"""Windows: what a window says is what stood in its slots, not how often a device spoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.slots import Held
from edge_agent.windows import Cadence, SeriesWindows, Window, aggregate, rounded
from telemetry import Summarise, quantities, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable

CADENCE = Cadence(60_000, 180_000)
CO2, ENERGY, MOTION, SWITCH = (quantity(name) for name in ("carbon_dioxide", "energy", "motion", "switch"))


def window(*readings: tuple[float, int], length_s: int = 900, cadence: Cadence = CADENCE) -> Window:
    """A window from 0 with readings at (seconds, ticks), in their order of arrival."""
    windows = SeriesWindows()
    for second, ticks in readings:
        windows.add((0, length_s), round(second * 1000), ticks, 1, cadence)
    return windows.open[0, length_s]


def test_a_chatty_device_does_not_bias_the_mean() -> None:
    """Fifty reports within one slot weigh no more than one; every reading is counted all the same."""
    burst = [(second, 2000) for second in range(50)]
    made = window(*burst, (60, 500), (120, 500), (180, 500), length_s=240)
    assert aggregate(CO2, made, None, CADENCE) == {"n": 4, "expected": 4, "mean": 875, "min": 500, "max": 2000}
    assert made.readings == 53


def test_a_value_stands_for_a_bounded_time() -> None:
    """An empty slot takes over the value before it until that is stale; after that the slot is empty."""
    fields = aggregate(CO2, window((0, 800)), None, CADENCE)
    assert fields["n"] == 4, "its own slot, and those that begin at most three minutes later"
    assert fields["expected"] == 15
    assert fields["mean"] == 800


def test_a_value_is_carried_into_the_next_window() -> None:
    """What stood when the window began fills its first slots, until a new one is measured."""
    fields = aggregate(CO2, window((120, 1000), length_s=300), Held(-30_000, 400), CADENCE)
    assert fields == {"n": 5, "expected": 5, "mean": 760, "min": 400, "max": 1000}
    assert aggregate(CO2, window((120, 1000), length_s=300), Held(-300_000, 400), CADENCE)["n"] == 3


@pytest.mark.parametrize(
    ("seconds", "carried", "is_whole"),
    [
        (range(0, 300, 60), None, True),
        ((0, 200), None, True),  # a device that reports on change: its value stands in the slots between
        ((120,), Held(-30_000, 400), True),
        ((120,), None, False),
        ((0,), None, False),  # stale before the end
    ],
)
def test_a_window_is_whole_when_a_value_stood_in_every_slot(
    seconds: Iterable[int], carried: Held | None, is_whole: bool
) -> None:
    """Whether it came in that slot or before: what comes late for such a window changes nothing."""
    made = window(*((second, 500) for second in seconds), length_s=300)
    assert made.is_whole(carried, CADENCE) is is_whole


def test_the_order_of_arrival_does_not_matter() -> None:
    """Late readings go where they were measured; of two in a slot the later measured stays."""
    early, late = window((5, 400), (50, 600), (70, 700)), window((70, 700), (50, 600), (5, 400))
    assert early.slots == late.slots
    assert list(early.slots) == [Held(50_000, 600), Held(70_000, 700)]


def test_of_two_at_one_moment_the_later_arrived_stays() -> None:
    """A device that corrects itself within a millisecond is believed."""
    assert list(window((10, 400), (10, 500)).slots) == [Held(10_000, 500)]


def test_a_counter_tells_its_increase() -> None:
    """From the value carried in, over a reset counted from zero, to the last value."""
    made = window((0, 1000), (60, 1500), (120, 200), (180, 700))
    assert aggregate(ENERGY, made, Held(-60_000, 900), CADENCE)["delta"] == 100 + 500 + 200 + 500


def test_a_counter_tells_nothing_of_a_gap() -> None:
    """What was counted in a silence longer than the window belongs to no window."""
    assert aggregate(ENERGY, window((0, 9000)), Held(-901_000, 900), CADENCE)["delta"] == 0
    assert aggregate(ENERGY, window((0, 9000)), Held(-900_000, 900), CADENCE)["delta"] == 8100


def test_a_flag_tells_its_share_of_slots() -> None:
    """On for one minute of three: 333 thousandths."""
    made = window((0, 1), (60, 0), (120, 0), length_s=180)
    assert aggregate(MOTION, made, None, CADENCE) == {"n": 3, "expected": 3, "on_permille": 333}


def test_a_state_tells_the_last_the_highest_and_how_long_it_was_on() -> None:
    """`on` is the state of that name, wherever it stands among the states."""
    display = quantity("display_power")
    made = window((0, 2), (60, 2), (120, 4), (180, 1), length_s=240)
    assert aggregate(display, made, None, CADENCE) == {
        "n": 4, "expected": 4, "last": 1, "max": 4, "on_permille": 500,
    }  # fmt: skip
    assert "on_permille" not in aggregate(quantity("fault"), window((0, 1)), None, CADENCE)


@pytest.mark.parametrize(("total", "count", "nearest"), [(5, 2, 3), (-5, 2, -2), (4, 3, 1), (-4, 3, -1), (7, 7, 1)])
def test_means_are_rounded_half_upwards(total: int, count: int, nearest: int) -> None:
    """In integers, so that a replay is the same to the last digit."""
    assert rounded(total, count) == nearest


@given(
    st.lists(st.tuples(st.integers(0, 899_999), st.integers(0, 5000)), min_size=1, max_size=60),
    st.integers(1, 3600),
    st.integers(1, 3600),
    st.none() | st.tuples(st.integers(-4_000_000, -1), st.integers(0, 5000)),
)
def test_every_window_with_a_reading_can_be_told(
    readings: list[tuple[int, int]], every_s: int, stale_s: int, carried: tuple[int, int] | None
) -> None:
    """Whatever the cadence and the readings: 1 <= n <= expected, min <= mean <= max, and every kind has its fields."""
    cadence = Cadence(every_s * 1000, stale_s * 1000)
    made = Window(0, 900)
    for event_ms, ticks in readings:
        made.put(event_ms, ticks, cadence)
    before = None if carried is None else Held(*carried)
    for kind in (Summarise.MEAN, Summarise.COUNTER, Summarise.FLAG, Summarise.STATE):
        entry = next(each for each in quantities() if each.summarise is kind)
        fields = aggregate(entry, made, before, cadence)
        assert 1 <= fields["n"] <= fields["expected"]
        if kind is Summarise.MEAN:
            assert fields["min"] <= fields["mean"] <= fields["max"]
        if kind is Summarise.FLAG:
            assert 0 <= fields["on_permille"] <= 1000
        if kind is Summarise.COUNTER:
            assert fields["delta"] >= 0


def test_closing_carries_the_last_value_on() -> None:
    """Windows close oldest first; what stays is the latest value of all."""
    windows = SeriesWindows()
    windows.add((900_000, 900), 950_000, 7, 1, CADENCE)
    windows.add((0, 900), 10_000, 5, 1, CADENCE)
    over = windows.over(1_800_000)
    assert [each.start_ms for each in over] == [0, 900_000]
    assert windows.over(1_799_999) == over[:1]
    for each in reversed(over):
        windows.close(each)
    assert windows.carried == Held(950_000, 7)
    assert not windows.open
