"""Slots: packed, they hold what a table of the last value by slot would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.slots import Held, Slots
from telemetry import quantities

LONGEST_MS = 86_400_000
readings = st.lists(st.tuples(st.integers(0, 20_000), st.integers(-5, 5)), max_size=60)


def put(slots: Slots, arrived: list[tuple[int, int]], every_ms: int) -> None:
    """Each reading in its turn, into the slot that it falls into."""
    for event_ms, ticks in arrived:
        slots.put(event_ms, ticks, event_ms - event_ms % every_ms, every_ms)


@given(readings, st.integers(1, 5000))
def test_slots_hold_the_last_value_of_each_in_order(arrived: list[tuple[int, int]], every_ms: int) -> None:
    """In whatever order values come: of one slot the later measured stays, of one moment the later arrived."""
    expected: dict[int, Held] = {}
    for event_ms, ticks in arrived:
        before = expected.get(event_ms // every_ms)
        if before is None or event_ms >= before.event_ms:
            expected[event_ms // every_ms] = Held(event_ms, ticks)
    slots = Slots()
    put(slots, arrived, every_ms)
    in_order = [held for _, held in sorted(expected.items())]
    assert (list(slots), len(slots), slots.last()) == (in_order, len(in_order), in_order[-1] if in_order else None)


@given(readings, readings.filter(bool), st.integers(1, 5000))
def test_a_copy_changes_by_itself(arrived: list[tuple[int, int]], more: list[tuple[int, int]], every_ms: int) -> None:
    """What is put into it leaves the original as it is."""
    slots = Slots()
    put(slots, arrived, every_ms)
    before, copied = list(slots), slots.copy()
    assert copied == slots
    put(copied, [(event_ms, 9) for event_ms, _ in more], every_ms)
    assert list(slots) == before
    assert copied != slots or before == list(copied)
    assert copied.last() is not None


def test_every_value_there_may_be_fits_its_sixteen_bytes() -> None:
    """The least and the greatest of each quantity, at the ends of time."""
    slots = Slots()
    for entry in quantities():
        for value in (entry.minimum, entry.maximum):
            slots.put(0, entry.to_ticks(value), 0, LONGEST_MS)
            assert slots.last() == Held(0, entry.to_ticks(value))
