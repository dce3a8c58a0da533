"""A driver's recorded frames, and what it makes of them.

A fixture is a case (see `device_drivers.cases`) with `expect`: `readings`, by `quantity` or `quantity[channel]`;
`dropped`, if fields are; `implausible`, quantities that a device told wrong; or `error`, the reason of the refusal.
Each names its `source` and `licence`; a source that begins with `built by hand` or `written` is nobody's recording.
"""

from __future__ import annotations

import functools
import json
import math
from typing import TYPE_CHECKING, Any, Final

from device_drivers.cases import run_line
from device_drivers.channels import is_channel
from device_drivers.conformance.findings import CheckFailed
from device_drivers.contract import REASONS, Decoded, FrameRefused
from device_drivers.registry import discover, find
from device_drivers.tables.checksums import crc16_modbus
from device_drivers.tables.registers import RegistersFormat
from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from device_drivers.conformance.subject import Subject
    from device_drivers.contract import Driver, Frame
    from device_drivers.registry import DriverEntry

MADE_BY_HAND: Final = ("built by hand", "written")
_MANY: Final = 5


def fixture_cases(folder: Path) -> list[dict[str, Any]]:
    """Every case in the `fixtures` of a driver's folder. Raises `CheckFailed` for a line that is none."""
    cases: list[dict[str, Any]] = []
    for file in sorted((folder / "fixtures").glob("*.jsonl")):
        for number, line in enumerate(file.read_bytes().splitlines(), start=1):
            where = f"fixtures/{file.name}:{number}"
            try:
                case = json.loads(line)
            except ValueError:
                raise CheckFailed(f"{where} is not JSON") from None
            if not isinstance(case, dict) or not isinstance(case.get("expect"), dict) or not case.get("id"):
                raise CheckFailed(f"{where} is no case with an id and what to expect")
            cases.append(case)
    return cases


def check_case(case: dict[str, Any], drivers: Mapping[str, DriverEntry] | None = None) -> None:
    """Assert that a case decodes to exactly what it expects, of the drivers that are installed if of no others."""
    expected = case["expect"]
    drivers = _installed() if drivers is None else drivers
    result = run_line(json.dumps(case).encode(), drivers)
    readings = {
        f"{reading.quantity}[{reading.channel}]" if reading.channel else reading.quantity: reading.value
        for reading in result.readings
    }
    if result.error is not None and result.error[0] != expected.get("error"):
        mended = _mended(case, drivers) if result.error[0] == "checksum" else ""
        raise CheckFailed(f"{case['id']}: it is refused: {result.error[0]}, {result.error[1]}{mended}")
    _same((result.error or [None])[0], expected.get("error"), case)
    _same(readings, expected.get("readings", {}), case)
    _same(list(result.dropped), expected.get("dropped", []), case)
    if result.readings:
        words = find(case["family"], case.get("model", ""), drivers).manifest.channels
        if not all(is_channel(reading.channel or "", words) for reading in result.readings):
            raise CheckFailed(f"{case['id']}: a channel that is neither a word of the manifest nor a small number")
    if len(readings) != len(result.readings):
        raise CheckFailed(f"{case['id']}: one channel of a quantity twice")
    for key in ("source", "licence"):
        if not case.get(key):
            raise CheckFailed(f"{case['id']} names no {key}")


@functools.cache
def _installed() -> Mapping[str, DriverEntry]:
    """Looked for once, for all cases of a run."""
    return discover()


def _mended(case: Mapping[str, Any], drivers: Mapping[str, DriverEntry]) -> str:
    """For whoever makes a frame by hand: what it is with the sum that its bytes have."""
    if "bytes_hex" not in case:
        return ""
    table = find(case["family"], case.get("model", ""), drivers).manifest.format
    payload = bytes.fromhex(case["bytes_hex"])
    if isinstance(table, RegistersFormat):
        right = payload[:-2] + crc16_modbus(payload[:-2]).to_bytes(2, "little")
    elif (checksum := getattr(table, "checksum", None)) is not None:
        right = checksum.renewed(payload)
    else:
        return ""
    return f"; with the right check sum it is {right.hex()}" if right != payload else ""


def _same(found: object, expected: object, case: Mapping[str, Any]) -> None:
    if found != expected:
        raise CheckFailed(f"{case['id']}: it gives {found}, and {expected} is expected")


def outcome(driver: Driver, frame: Frame) -> Decoded | FrameRefused:
    """What a driver makes of a frame: anything else that it raises is a breach of the contract."""
    try:
        decoded = driver.decode(frame)
    except FrameRefused as refusal:
        if refusal.reason not in REASONS:
            raise CheckFailed(f"a frame is refused as {refusal.reason!r}, which is none of the contract's") from None
        return refusal
    except Exception as error:
        raise CheckFailed(f"decode raises {type(error).__name__}: {error}") from error
    if not isinstance(decoded, Decoded):
        raise CheckFailed(f"decode gives {type(decoded).__name__}")
    for found in decoded.measurements:
        if not math.isfinite(found.value):
            raise CheckFailed(f"{found.quantity} is {found.value}")
    return decoded


def golden(subject: Subject) -> str:
    """Every recorded frame decodes to what it expects, and there is one with readings."""
    if not any(case["expect"].get("readings") for case in subject.cases):
        raise CheckFailed("no frame with readings is recorded in fixtures/*.jsonl")
    foreign = sorted({str(case.get("family")) for case in subject.cases} - subject.entry.manifest.families.keys())
    if foreign:
        raise CheckFailed(f"a recorded frame is of the family {foreign[0]!r}, which is not in [families]")
    for case in subject.cases:
        check_case(case, subject.drivers)
    return f"{len(subject.cases)} frames"


def observed_range(subject: Subject) -> str:
    """Every value lies in its quantity's plausible range, or the case says that the device told it wrong."""
    seen = 0
    for case in subject.cases:
        for name, value in case["expect"].get("readings", {}).items():
            entry = quantity(name.partition("[")[0])
            if entry.states and value not in entry.states:
                raise CheckFailed(f"{case['id']}: {name} is {value}, which is none of its states")
            if isinstance(value, (bool, str)) or entry.id in case["expect"].get("implausible", ()):
                continue
            seen += 1
            if not entry.minimum <= value <= entry.maximum:
                raise CheckFailed(
                    f"{case['id']}: {name} is {value:g} {entry.unit}, and {entry.minimum:g} to {entry.maximum:g} is "
                    "plausible: is its unit or its scale wrong?"
                )
    return f"{seen} values"


def coverage(subject: Subject) -> str:
    """Every quantity of the manifest stands in a recorded frame."""
    declared = subject.entry.manifest.quantities
    missing = sorted(declared - {name for name, _ in _observed(subject)})
    if missing:
        raise CheckFailed(f"{len(missing)} of {len(declared)} stand in none: {', '.join(missing[:_MANY])}")
    return f"{len(declared)} quantities"


def every_field(subject: Subject) -> str:
    """Every quantity and channel of the table of fields stands in a recorded frame."""
    declared = {row.column for row in subject.entry.manifest.field}
    seen = _observed(subject)
    names = {name for name, _ in seen}
    missing = sorted(
        name if not channel else f"{name}[{channel}]"
        for name, channel in declared - seen
        if channel or name not in names  # a row without a channel may be read on several
    )
    if missing:
        raise CheckFailed(f"{len(missing)} of {len(declared)} stand in none: {', '.join(missing[:_MANY])}")
    return f"{len(declared)} fields"


def captured(subject: Subject) -> str:
    """Some frames are nobody's who wrote the driver."""
    others = [case for case in subject.cases if not case.get("source", "").startswith(MADE_BY_HAND)]
    if len(others) < _MANY:
        raise CheckFailed(f"{len(others)} of {len(subject.cases)} frames are, the rest was made by hand")
    return f"{len(others)} of {len(subject.cases)} frames"


def _observed(subject: Subject) -> set[tuple[str, str]]:
    names = [name for case in subject.cases for name in case["expect"].get("readings", {})]
    return {(name.partition("[")[0], name.partition("[")[2].rstrip("]")) for name in names}
