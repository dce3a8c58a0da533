"""Runs case files: recorded frames, one JSON object a line, through the drivers that configuration would pick.

A case has `family` and, where bytes alone do not tell it, `model`; the frame as `payload` (an object is published as
JSON, a string as it stands; `{"request", "response"}` or `{"greeting", "password"}` for a device that is polled) or as
`bytes_hex`; perhaps `topic`, `f_port`, `unit_id`, and `crc_present`, false where a document prints a frame without it;
`before`, a list of messages, each with `topic` and `payload`, that the device sent earlier and that the frame needs;
and `expect` where it is known what must come out (see `device_drivers.conformance`).
Each line gives one result, and a line that cannot be run gives an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import Frame, FrameRefused, Settings
from device_drivers.registry import find, shielded
from telemetry import BansuiError, ContractViolation, Summarise, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from device_drivers.contract import Driver, Measurement
    from device_drivers.manifest import Manifest
    from device_drivers.registry import DriverEntry

_EXCHANGE: Final = {"request", "response", "greeting"}
_TO_DEVICE: Final = "host_to_device"
_STATED: Final = {"unit_id": "address", "crc_present": "crc"}
"""What a case may say of a device on a line, and the driver's option that a configuration would state it with."""


class MalformedCase(ContractViolation):
    """A line that is no case."""

    code = "malformed_case"


class NothingToDecode(ContractViolation):
    """A case that holds what a host sends."""

    code = "not_a_device_frame"


@dataclass(frozen=True, slots=True)
class CaseReading:
    """One value as a person writes it: in its unit, a flag as true or false, a state by its name."""

    quantity: str
    channel: str | None
    value: float | bool | str
    unit: str | None

    @classmethod
    def of(cls, measurement: Measurement) -> CaseReading:
        """Write a measurement out."""
        entry = quantity(measurement.quantity)
        channel = measurement.channel or None
        if entry.states and 0 <= measurement.value < len(entry.states):
            return cls(entry.id, channel, entry.states[int(measurement.value)], None)
        if entry.summarise is Summarise.FLAG:
            return cls(entry.id, channel, bool(measurement.value), None)
        return cls(entry.id, channel, _written(measurement.value), entry.unit)

    def as_dict(self) -> dict[str, Any]:
        """The reading as `--json` prints it."""
        return {"quantity": self.quantity, "channel": self.channel, "value": self.value, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one line."""

    id: str | None
    readings: tuple[CaseReading, ...] = ()
    dropped: tuple[str, ...] = ()
    error: tuple[str, str] | None = None
    """Code and message."""
    family: str = ""
    """Of the case, if it names one."""
    as_expected: bool | None = None
    """Whether it gave what the case's `expect` says; None where it says nothing."""

    def as_dict(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        error = None if self.error is None else {"code": self.error[0], "message": self.error[1]}
        readings = [reading.as_dict() for reading in self.readings]
        return {"id": self.id, "readings": readings, "dropped": list(self.dropped), "error": error}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case made ready: its frame, and what a configuration would say of the device that sent it."""

    entry: DriverEntry
    settings: Settings
    frame: Frame
    greets: bool
    """Whether it is what a device says before it is asked."""
    before: tuple[Frame, ...] = ()
    """What the device has sent already."""

    def driver(self) -> Driver:
        """A driver that has heard what came before. Raises `BansuiError`."""
        driver = self.entry.create(self.settings)
        for frame in self.before:
            shielded(self.entry.id, lambda frame=frame: driver.decode(frame))  # type: ignore[misc]
        return driver


def run_lines(lines: Iterable[bytes], drivers: Mapping[str, DriverEntry]) -> Iterator[CaseResult]:
    """The result of every line that is not blank, in order."""
    for line in lines:
        if line.strip():
            yield run_line(line, drivers)


def run_line(line: bytes, drivers: Mapping[str, DriverEntry]) -> CaseResult:
    """The result of one line; raises nothing, whatever the line holds."""
    case: dict[str, Any] = {}
    try:
        case = _parse(line)
        result = _run(case, drivers)
    except FrameRefused as refusal:
        result = CaseResult(_string(case, "id"), error=(refusal.reason, refusal.what))
    except BansuiError as error:
        result = CaseResult(_string(case, "id"), error=(error.code, error.what))
    expect = case.get("expect")
    is_met = _meets(result, expect) if isinstance(expect, dict) else None
    return replace(result, family=_string(case, "family") or "", as_expected=is_met)


def _meets(result: CaseResult, expect: dict[str, Any]) -> bool:
    """Whether a result is what a case expects: all its readings, and its error, and what it dropped if it says so."""
    readings = {f"{each.quantity}[{each.channel}]" if each.channel else each.quantity: each for each in result.readings}
    return (
        (result.error or (None,))[0] == expect.get("error")
        and len(readings) == len(result.readings)
        and {name: each.value for name, each in readings.items()} == expect.get("readings", {})
        and ("dropped" not in expect or list(result.dropped) == expect["dropped"])
    )


def _parse(line: bytes) -> dict[str, Any]:
    try:
        case = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise MalformedCase("the line is not JSON") from None
    if not isinstance(case, dict):
        raise MalformedCase("the line is not a JSON object")
    return case


def prepare(case: Mapping[str, Any], drivers: Mapping[str, DriverEntry]) -> Prepared:
    """The frame of a case and the driver that configuration would pick for it. Raises `BansuiError`."""
    family = _text(case, "family")
    if not family:
        raise MalformedCase("the case names no family")
    if case.get("direction") == _TO_DEVICE:
        raise NothingToDecode("a frame that a host sends: there is nothing to decode")
    model = _text(case, "model")
    entry = find(family, model, drivers)
    manifest = entry.manifest
    frame, password = _frame(case, manifest)
    secrets = {"password": password} if password else {}
    options = {name: case[key] for key, name in _STATED.items() if key in case and name in manifest.options}
    payload = case.get("payload")
    greets = isinstance(payload, dict) and bool(payload.get("greeting"))
    before = tuple(_frame(earlier, manifest)[0] for earlier in _earlier(case))
    return Prepared(entry, Settings(manifest.model_for(family, model), options, secrets), frame, greets, before)


def _earlier(case: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = case.get("before", [])
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise MalformedCase("before is not a list of messages")
    return messages


def _run(case: dict[str, Any], drivers: Mapping[str, DriverEntry]) -> CaseResult:
    ready = prepare(case, drivers)
    driver = ready.driver()
    decoded = shielded(ready.entry.id, lambda: driver.decode(ready.frame))
    return CaseResult(_string(case, "id"), tuple(CaseReading.of(m) for m in decoded.measurements), decoded.dropped)


def _frame(case: Mapping[str, Any], manifest: Manifest) -> tuple[Frame, str]:
    payload, password, request = case.get("payload"), "", b""
    is_exchange = isinstance(payload, dict) and not _EXCHANGE.isdisjoint(payload)
    if payload is None or (manifest.driver.transport.is_polled and "bytes_hex" in case and not is_exchange):
        if "bytes_hex" not in case:
            raise MalformedCase("the case has neither payload nor bytes_hex")
        content = _unhex(_text(case, "bytes_hex"))
    elif manifest.driver.transport.is_polled and isinstance(payload, dict):
        content = _encode(_text(payload, "greeting") or _text(payload, "response"))
        request, password = _encode(_text(payload, "request")), _text(payload, "password")
    else:
        content = _encode(payload if isinstance(payload, str) else _dump(payload))
    port = case.get("f_port")
    return Frame(content, _text(case, "topic"), request, port if isinstance(port, int) else None), password


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedCase(f"{key} is not a string")
    return value


def _string(case: dict[str, Any], key: str) -> str | None:
    value = case.get(key)
    return value if isinstance(value, str) else None


def _encode(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def _dump(payload: object) -> str:
    try:
        return json.dumps(payload)
    except (RecursionError, ValueError):  # as deep, or a number as long, as the line that held it only just could be
        raise MalformedCase("the payload cannot be written as JSON") from None


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedCase("bytes_hex is not hexadecimal") from None


def _written(value: float) -> float:
    """Twelve digits: as much as any device means, and none of what binary fractions add."""
    short = float(f"{value:.12g}")
    return int(short) if short.is_integer() else short
