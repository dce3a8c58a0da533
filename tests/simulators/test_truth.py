from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simulators.emissions import Emission
from simulators.faults import FAULTS, Fault
from simulators.scenarios import load
from simulators.truth import DeviceTruth, Truth, write_json
from telemetry import ScaledClock

START_MS = 1_791_762_300_000


def actual(device: str, quantity: str) -> float | None:
    return {"temperature": 20.0}.get(quantity)


def truth() -> Truth:
    truth = Truth(load("vr-lesson"), 7, ScaledClock(START_MS, 0, 60.0), actual)
    truth.devices["co2"] = DeviceTruth("zigbee2mqtt", "mqtt", 60_000, stamps=True)
    truth.devices["pm"] = DeviceTruth("plantower", "serial", 60_000, stamps=False)
    return truth


def emission(device: str, after_s: float, *readings: tuple[str, float]) -> Emission:
    return Emission(device, START_MS + int(after_s * 1000), "t", b"", readings)


def windows(truth: Truth) -> list[dict[str, Any]]:
    found = truth.document()["windows"]
    assert isinstance(found, list)
    return found


def test_window_sums_the_last_value_of_each_slot_in_ticks() -> None:
    t = truth()
    t.emitted(emission("co2", 5, ("temperature", 21.255)))
    t.emitted(emission("co2", 59, ("temperature", 21.26)))
    t.emitted(emission("co2", 60, ("temperature", 21.5)))
    t.emitted(emission("co2", 900, ("temperature", 30.0)))
    assert windows(t) == [
        {
            "device": "co2",
            "quantity": "temperature",
            "channel": "",
            "start_ms": START_MS + offset,
            "window_s": 900,
            "sum_ticks": ticks,
            "physics_sum_ticks": 2000 * n,
            "n": n,
            "expected": 15,
            "faults": [],
        }
        for offset, ticks, n in ((0, 2126 + 2150, 2), (900_000, 3000, 1))
    ]


def test_only_means_of_devices_that_stamp_have_windows() -> None:
    t = truth()
    t.emitted(emission("co2", 5, ("occupancy", 1.0), ("energy", 3.2), ("switch", 1.0), ("smoke", 0.0)))
    t.emitted(emission("pm", 5, ("pm25", 30.0)))
    assert windows(t) == []


def test_counts_tell_sent_from_confirmed_and_the_guarantee() -> None:
    t = truth()
    t.emitted(emission("co2", 5, ("temperature", 21.0), ("humidity", 40.0)))
    t.emitted(emission("co2", 65, ("temperature", 21.0), ("humidity", 40.0)))
    t.devices["co2"].confirmed(2)
    t.emitted(emission("pm", 5, ("pm25", 30.0)))
    assert t.document()["devices"] == {
        "co2": {
            "driver": "zigbee2mqtt",
            "transport": "mqtt",
            "guarantee": "at_least_once",
            "frames_sent": 2,
            "frames_confirmed": 1,
            "readings_sent": 4,
            "readings_confirmed": 2,
            "frames_forgotten": 0,
        },
        "pm": {
            "driver": "plantower",
            "transport": "serial",
            "guarantee": "at_most_once",
            "frames_sent": 1,
            "frames_confirmed": 0,
            "readings_sent": 1,
            "readings_confirmed": 0,
            "frames_forgotten": 0,
        },
    }


def test_document_has_the_schema_that_is_documented() -> None:
    t = truth()
    t.fault(Fault("stuck", START_MS, START_MS + 9, "co2"), START_MS + 1, START_MS + 5)
    t.emitted(emission("co2", 5, ("temperature", 21.0)))
    document = t.document()
    assert set(document) == {"schema", "scenario", "school", "seed", "clock", "devices", "windows", "faults"}
    assert (document["schema"], document["scenario"], document["school"]) == (2, "vr-lesson", "cn-003")
    assert (document["seed"], document["clock"]) == (7, [START_MS, 0, 60.0])
    attacks = FAULTS["stuck"].attacks
    assert document["faults"] == [
        {"name": "stuck", "attacks": attacks, "device": "co2", "at_ms": START_MS + 1, "until_ms": START_MS + 5}
    ]
    text = Path("docs/testers.md").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = [dict(document), *document["devices"].values(), *document["windows"]]  # type: ignore[attr-defined,misc]
    for name in {name for entry in entries for name in entry} - {"co2", "pm"}:
        assert f"`{name}`" in text, name


def test_what_a_device_forgot_is_what_was_not_confirmed() -> None:
    t = truth()
    for _ in range(3):
        t.emitted(emission("co2", 5, ("temperature", 21.0)))
    t.devices["co2"].confirmed(1)
    t.emitted(emission("pm", 5, ("pm25", 30.0)))
    t.forgotten(None)
    assert (t.devices["co2"].frames_forgotten, t.devices["pm"].frames_forgotten) == (2, 0)


def test_a_window_names_the_faults_that_touch_it() -> None:
    t = truth()
    t.afflicted(lambda device, start_ms, end_ms: ["drift"] if start_ms <= START_MS + 60_000 < end_ms else [])
    t.emitted(emission("co2", 5, ("temperature", 21.0)))
    t.emitted(emission("co2", 905, ("temperature", 21.0)))
    assert [window["faults"] for window in windows(t)] == [["drift"], []]


def test_file_is_replaced_whole_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text("old")
    write_json(path, {"school": "学校"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"school": "学校"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
