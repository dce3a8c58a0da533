"""Every driver under what Hypothesis makes up, and under damage to every frame that was recorded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_drivers.contract import Decoded, Measurement
from tests.device_drivers.fuzzing import TOPICS, assert_declared, exercise, seeds, subjects

SEEDS = st.deferred(lambda: st.sampled_from(seeds()))
"""Read by whoever runs a test of them, not by each process that collects."""


def test_every_driver_has_a_recorded_frame_to_begin_with() -> None:
    begun = {subjects()[int.from_bytes(seed[:2], "big")][0].id for seed in seeds()}
    assert begun == {entry.id for entry, _ in subjects()}


def test_every_recorded_frame_holds_on_every_topic() -> None:
    for seed in seeds():
        for topic in range(len(TOPICS)):
            exercise(seed[:2] + bytes([topic]) + seed[3:])


@given(SEEDS, st.data())
@settings(max_examples=300)
def test_any_damage_to_a_recorded_frame_holds(seed: bytes, data: st.DataObject) -> None:
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(3, max(3, len(damaged) - 1)))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    exercise(bytes(damaged))


@given(st.integers(0, len(subjects()) - 1), st.integers(0, len(TOPICS) - 1), st.binary(max_size=120))
@settings(max_examples=500)
def test_any_bytes_hold(number: int, topic: int, payload: bytes) -> None:
    exercise(number.to_bytes(2, "big") + bytes([topic]) + payload)


def test_what_is_not_declared_is_seen() -> None:
    entry = next(entry for entry, _ in subjects() if entry.id == "mhz19")
    for measurement in (Measurement("pm25", 1), Measurement("carbon_dioxide", 1, "zhang-san")):
        with pytest.raises(AssertionError):
            assert_declared(entry, Decoded.of((measurement,)))
    with pytest.raises(AssertionError):
        assert_declared(entry, Decoded.of((Measurement("carbon_dioxide", 1), Measurement("carbon_dioxide", 2))))
