"""Any driver of ours, given any bytes: what has to hold whatever they are."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import device_drivers
from device_drivers.channels import is_channel
from device_drivers.conformance import fixture_cases, outcome
from device_drivers.contract import Decoded, Frame, Settings, StreamDriver
from device_drivers.registry import OURS, discover
from telemetry import quantity

if TYPE_CHECKING:
    from device_drivers.contract import Driver
    from device_drivers.registry import DriverEntry

ROOT: Final = Path(device_drivers.__file__).parent
TOPICS: Final = (
    "", "a/b", "zigbee2mqtt/x", "zigbee2mqtt/x/availability", "tele/x/SENSOR", "x/status/switch:0",
    "homeassistant/sensor/x/y/config", "application/a/device/b/event/up", "v3/a@t/devices/d/up",
    "spBv1.0/g/NBIRTH/n", "spBv1.0/g/NDATA/n", "spBv1.0/g/DBIRTH/n/d", "spBv1.0/g/NDEATH/n",
    "homie/5/d/$description", "homie/5/d/n/temperature", "homie/d/n/temperature/$datatype", "homie/d/n/temperature",
    "home/g/BTtoMQTT/0000000000A1",
)  # fmt: skip
"""Topics that some driver takes for its own; every driver is tried with each."""


@cache
def subjects() -> tuple[tuple[DriverEntry, str], ...]:
    """Every driver of ours, with each of its models."""
    entries = [entry for entry in discover().values() if entry.source == OURS]
    return tuple((entry, model) for entry in entries for model in entry.manifest.driver.models or ("",))


@cache
def _table_driver(number: int) -> Driver:
    entry, model = subjects()[number]
    return entry.create(Settings(model=model))


def exercise(data: bytes) -> None:
    """Two bytes say which driver and model, one the topic, the rest is what a device sends; it is sent twice."""
    if len(data) < 3:
        return
    number = int.from_bytes(data[:2], "big") % len(subjects())
    entry, model = subjects()[number]
    driver = entry.create(Settings(model=model)) if entry.module else _table_driver(number)
    for _ in range(2):  # what the first taught is there for the second
        decoded = outcome(driver, Frame(data[3:], topic=TOPICS[data[2] % len(TOPICS)]))
        if isinstance(decoded, Decoded):
            assert_declared(entry, decoded)
    if isinstance(driver, StreamDriver):
        buffer = bytearray(data[3:])
        for frame in driver.split(buffer):
            outcome(driver, frame)
        assert len(buffer) <= len(data)


def assert_declared(entry: DriverEntry, decoded: Decoded) -> None:
    """Nothing but the manifest's quantities and words comes out, each once a moment, and every name may be told."""
    manifest = entry.manifest
    for row in decoded.rows:
        columns = row.layout.columns
        assert len(set(columns)) == len(columns) == len(row.values)
        for (name, channel), value in zip(columns, row.values, strict=True):
            assert name in manifest.quantities
            assert is_channel(channel, manifest.channels)
            assert not quantity(name).states or value == int(value)
    assert all(name.isprintable() and len(name) <= 64 for name in decoded.dropped)


@cache
def seeds() -> tuple[bytes, ...]:
    """Every recorded frame, for the driver and the model that it is of."""
    found = []
    for number, (entry, model) in enumerate(subjects()):
        for case in fixture_cases(ROOT / entry.id):
            of = entry.manifest.model_for(case["family"], case.get("model", ""))
            if model and of.casefold() != model.casefold():
                continue
            topic = case.get("topic", "")
            place = next((at for at, known in enumerate(TOPICS) if known and topic.endswith(known[-8:])), 0)
            found.append(number.to_bytes(2, "big") + bytes([place]) + content(case))
    return tuple(found)


def content(case: dict[str, object]) -> bytes:
    """What a device sent in a recorded case."""
    payload = case.get("payload")
    if payload is None:
        return bytes.fromhex(str(case["bytes_hex"]))
    if isinstance(payload, dict) and "response" in payload:
        return str(payload["response"]).encode()
    return payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
