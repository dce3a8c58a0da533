"""Drivers and simulators, written apart from the formats' documents, mean the same by the same bytes."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from device_drivers.contract import Driver, Frame, Settings
from device_drivers.registry import discover
from simulators.devices import Devices, driver_of, model_of
from simulators.scenarios import load


def test_every_frame_of_a_simulated_morning_decodes_to_the_readings_it_was_made_of() -> None:
    devices = Devices(load("school-day"), seed=20)
    entries, drivers, seen = discover(), dict[str, Driver](), Counter[str]()
    models = {model.id: model for model in devices.scenario.device}
    for emission in islice(devices.day(), 4000):
        model = models[emission.device]
        if model.id not in drivers:
            drivers[model.id] = entries[driver_of(model)].create(Settings(model=model_of(model)))
        decoded = drivers[model.id].decode(Frame(emission.payload, topic=emission.topic))
        found = [(m.quantity, round(m.value, 6)) for m in decoded.measurements]
        assert sorted(found) == sorted((name, round(value, 6)) for name, value in emission.readings)
        assert {m.event_ms for m in decoded.measurements} <= {emission.event_ms, None}
        seen[driver_of(model)] += 1
    assert seen.keys() == {"zigbee2mqtt", "plantower", "vr_station"}
