"""What every driver is held to, for its own tests: its recorded frames, and a README that says what its manifest says.

A fixture is a case (see `device_drivers.cases`) with `expect`: `readings`, by `quantity` or `quantity[channel]`;
`dropped`, if fields are; or `error`, the reason of the refusal. Each names its `source` and `licence`.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from device_drivers.cases import run_line
from device_drivers.channels import is_channel
from device_drivers.contract import Decoded, FrameRefused
from device_drivers.registry import discover, find
from telemetry import quantity

if TYPE_CHECKING:
    from pathlib import Path

    from device_drivers.contract import Driver, Frame
    from device_drivers.manifest import Manifest


def fixture_cases(folder: Path) -> list[dict[str, Any]]:
    """Every case in the `fixtures` of a driver's folder."""
    files = sorted((folder / "fixtures").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def check_case(case: dict[str, Any]) -> None:
    """Assert that a case decodes to exactly what it expects."""
    expected = case["expect"]
    drivers = discover()
    result = run_line(json.dumps(case).encode(), drivers)
    readings = {
        f"{reading.quantity}[{reading.channel}]" if reading.channel else reading.quantity: reading.value
        for reading in result.readings
    }
    assert (result.error or [None])[0] == expected.get("error"), case["id"]
    assert readings == expected.get("readings", {}), case["id"]
    if result.readings:
        words = find(case["family"], case.get("model", ""), drivers).manifest.channels
        assert all(is_channel(reading.channel or "", words) for reading in result.readings), case["id"]
    assert len(readings) == len(result.readings), f"{case['id']}: one channel of a quantity twice"
    assert list(result.dropped) == expected.get("dropped", []), case["id"]
    assert case["source"], f"{case['id']} names no source"
    assert case["licence"], f"{case['id']} names no licence"


def outcome(driver: Driver, frame: Frame) -> Decoded | FrameRefused:
    """What a driver makes of a frame: anything else that it raises is a breach of the contract."""
    try:
        decoded = driver.decode(frame)
    except FrameRefused as refusal:
        return refusal
    assert isinstance(decoded, Decoded)
    assert all(math.isfinite(measurement.value) for measurement in decoded.measurements)
    return decoded


def fields_table(manifest: Manifest) -> str:
    """The manifest's fields as README.md shows them."""
    lines = ["| field | quantity | channel | unit | least class |", "|---|---|---|---|---|"]
    for row in manifest.field:
        entry = quantity(row.quantity)
        unit = entry.symbol or "-"
        line = f"| `{row.key}` | `{entry.id}` | {row.channel or '-'} | {unit} | {entry.least_class} |"
        if line not in lines:  # as it is when models have it in different places
            lines.append(line)
    return "\n".join(lines)
