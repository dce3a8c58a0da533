"""Every driver of ours: what the suite finds, and what it cannot know of the rest of the house."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import device_drivers
from device_drivers.conformance import check_case, fixture_cases
from device_drivers.conformance.findings import CheckFailed, Grade
from device_drivers.conformance.suite import examine, subject_of
from device_drivers.contract import Frame, Settings
from device_drivers.field_rows import FieldRow, Transport
from device_drivers.registry import OURS, DriverEntry, discover
from edge_agent.config import DeviceTable
from tests.supported import FILE, line

ROOT = Path(device_drivers.__file__).parent
ENTRIES = {entry.id: entry for entry in discover().values() if entry.source == OURS}

SUPPORTED = FILE.read_text(encoding="utf-8").splitlines()
BEST_KNOWN = {
    "zigbee2mqtt", "home_assistant", "tasmota", "shelly", "lorawan", "milesight", "elsys", "netvox", "modbus_rtu",
    "chint_dtsu666", "pzem", "plantower", "mhz19", "sensirion_sps30", "cvte_board", "newline_board", "viewsonic_board",
    "benq_board", "maxhub_board", "pjlink", "epson_escvp21", "benq", "samsung_mdc", "smart_board", "lg_display",
    "nec_display", "philips_sicp", "android_headset", "vr_station",
}  # fmt: skip
"""What most schools have: these are gold."""

each = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)


def test_every_folder_with_a_manifest_is_a_driver_and_every_transport_is_in_use() -> None:
    assert ENTRIES.keys() == {path.parent.name for path in ROOT.glob("*/driver.toml")}
    assert {entry.manifest.driver.transport for entry in ENTRIES.values()} == set(Transport)


@each
@pytest.mark.usefixtures("short_memory_check")
def test_it_fails_no_check_and_is_silver_at_least_as_supported_says(entry: DriverEntry) -> None:
    report = examine(subject_of(entry.id))
    assert not report.failed
    assert report.grade >= (Grade.GOLD if entry.id in BEST_KNOWN else Grade.SILVER)
    assert line(entry, report.grade) in SUPPORTED, "make supported"


def test_supported_has_every_driver_and_no_other() -> None:
    named = re.findall(r"^\| \[(\w+)\]", "\n".join(SUPPORTED), re.MULTILINE)
    assert named == list(ENTRIES)


@each
def test_the_agent_takes_its_sample(entry: DriverEntry) -> None:
    (device,) = tomllib.loads(entry.manifest.sample)["device"]
    DeviceTable.model_validate(device)


@each
def test_it_has_a_name_in_both_languages(entry: DriverEntry) -> None:
    assert entry.manifest.driver.name_zh
    assert entry.manifest.driver.name_en


def test_a_case_that_decodes_to_something_else_fails() -> None:
    case = dict(fixture_cases(ROOT / "vr_station")[0])
    case["expect"] = {"readings": case["expect"]["readings"] | {"battery": 82}}
    with pytest.raises(CheckFailed):
        check_case(case)


@pytest.mark.parametrize("row", ENTRIES["zigbee2mqtt"].manifest.field, ids=lambda row: row.key)
def test_every_row_of_zigbee2mqtts_table_yields_its_quantity_and_no_other(row: FieldRow) -> None:
    driver = ENTRIES["zigbee2mqtt"].create(Settings())
    found = set()
    for value in (1, True, "ON", "online", "single", "open", "low"):
        frame = Frame(json.dumps({row.key: value}).encode(), topic="zigbee2mqtt/x")
        found |= {(m.quantity, m.channel) for m in driver.decode(frame).measurements}
    assert found == {(row.quantity, row.channel)}
