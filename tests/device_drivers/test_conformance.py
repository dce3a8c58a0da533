"""Every driver of ours: its manifest, its README and its sample say the same."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import device_drivers
from device_drivers.conformance import check_case, fields_table, fixture_cases
from device_drivers.contract import CONTRACT_VERSION, Frame, Settings
from device_drivers.field_rows import FieldRow, Transport
from device_drivers.registry import OURS, DriverEntry, discover
from telemetry import PrivacyClass, quantity

ROOT = Path(device_drivers.__file__).parent
ENTRIES = {entry.id: entry for entry in discover().values() if entry.source == OURS}
INTAKE = {
    Transport.MQTT: "mqtt",
    Transport.SERIAL_STREAM: "serial",
    Transport.SERIAL_POLL: "serial",
    Transport.TCP_POLL: "tcp",
    Transport.EXEC: "exec",
}

each = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)


def test_every_folder_with_a_manifest_is_a_driver_and_every_transport_is_in_use() -> None:
    assert ENTRIES.keys() == {path.parent.name for path in ROOT.glob("*/driver.toml")}
    assert {entry.manifest.driver.transport for entry in ENTRIES.values()} == set(Transport)


@each
def test_the_manifest_is_whole_and_of_this_contract(entry: DriverEntry) -> None:
    assert entry.error is None
    assert entry.manifest.driver.contract == CONTRACT_VERSION
    assert entry.manifest.driver.name_zh
    assert entry.manifest.driver.name_en


@each
def test_the_sample_binds_a_device_to_this_driver(entry: DriverEntry) -> None:
    (device,) = tomllib.loads(entry.manifest.sample)["device"]
    assert device["driver"] == entry.id
    assert INTAKE[entry.manifest.driver.transport] in device
    entry.manifest.check_model(device.get("model", ""))


@each
def test_the_readme_shows_the_sample_and_every_field_with_its_class(entry: DriverEntry) -> None:
    text = (ROOT / entry.id / "README.md").read_text(encoding="utf-8")
    assert entry.manifest.sample.strip() in text
    assert fields_table(entry.manifest) in text


@each
def test_no_field_is_personal(entry: DriverEntry) -> None:
    assert all(quantity(name).least_class is not PrivacyClass.X for name in entry.manifest.quantities)


@each
def test_every_quantity_it_declares_stands_in_a_fixture(entry: DriverEntry) -> None:
    cases = fixture_cases(ROOT / entry.id)
    seen = {key.partition("[")[0] for case in cases for key in case["expect"].get("readings", {})}
    assert seen <= entry.manifest.quantities
    if 0 < len(entry.manifest.field) < 20:  # a long table is tested row by row elsewhere; exec has all and no field
        assert seen == entry.manifest.quantities


def test_a_case_that_decodes_to_something_else_fails() -> None:
    case = dict(fixture_cases(ROOT / "vr_station")[0])
    case["expect"] = {"readings": case["expect"]["readings"] | {"battery": 82}}
    with pytest.raises(AssertionError):
        check_case(case)


@pytest.mark.parametrize("row", ENTRIES["zigbee2mqtt"].manifest.field, ids=lambda row: row.key)
def test_every_row_of_zigbee2mqtts_table_yields_its_quantity_and_no_other(row: FieldRow) -> None:
    driver = ENTRIES["zigbee2mqtt"].create(Settings())
    found = set()
    for value in (1, True, "ON", "online", "single"):
        frame = Frame(json.dumps({row.key: value}).encode(), topic="zigbee2mqtt/x")
        found |= {(m.quantity, m.channel) for m in driver.decode(frame).measurements}
    assert found == {(row.quantity, row.channel)}
