"""Whole drivers of devices that there are not, which tests write into a folder and then spoil."""

from __future__ import annotations

import itertools
import json
import sys
from typing import TYPE_CHECKING, Final

from device_drivers.conformance import fields_table
from device_drivers.conformance.suite import Report, check, rules, subject_of
from device_drivers.registry import at

if TYPE_CHECKING:
    from pathlib import Path

    from device_drivers.conformance.findings import Finding

METER: Final = '''
"""A CO2 meter that is asked: `?AA` and a carriage return; the address, four digits, and a sum of all in hexadecimal."""

import asyncio, time

from device_drivers.contract import Decoded, Frame, FrameRefused, Measurement
from telemetry import DeviceFault


def create(settings):
    return Driver(settings.options.get("address"))


def summed(body):
    return b"%02X" % (sum(body) & 0xFF)


class Driver:
    def __init__(self, address):
        self.address = address
        self.kept = []

    def decode(self, frame):
        payload = frame.payload
        if len(payload) != 9 or payload[8:] != b"\\r":
            raise FrameRefused("length", "no answer of this length")
        if summed(payload[:6]) != payload[6:8]:
            raise FrameRefused("checksum", "its sum is another")
        try:
            address, value = int(payload[:2]), int(payload[2:6])
        except ValueError:
            raise FrameRefused("value", "no digits") from None
        if self.address is not None and address != self.address:
            raise FrameRefused("unexpected", "another device")
        return Decoded.of([Measurement("carbon_dioxide", float(value))])

    async def poll(self, connection):
        question = b"?%02d\\r" % (self.address or 1)
        await connection.write(question)
        yield Frame(await connection.read_until(b"\\r"), request=question)
'''
STREAM: Final = '''
"""A CO2 sensor that sends by itself: a mark, two bytes, a sum."""

from device_drivers.contract import Decoded, Frame, FrameRefused, Measurement


def create(settings):
    return Driver()


class Driver:
    def decode(self, frame):
        payload = frame.payload
        if len(payload) != 4:
            raise FrameRefused("length", "no frame of this length")
        if payload[0] != 0xAA or sum(payload[:3]) & 0xFF != payload[3]:
            raise FrameRefused("checksum", "its sum is another")
        return Decoded.of([Measurement("carbon_dioxide", float(int.from_bytes(payload[1:3], "big")))])

    def split(self, buffer):
        found = []
        while (begin := buffer.find(0xAA)) >= 0:
            del buffer[:begin]
            if len(buffer) < 4:
                return found
            whole = sum(buffer[:3]) & 0xFF == buffer[3]
            if whole:
                found.append(Frame(bytes(buffer[:4])))
            del buffer[: 4 if whole else 1]
        buffer.clear()
        return found
'''
MESSAGES: Final = '''
"""A CO2 sensor that publishes JSON."""

import json

from device_drivers.contract import Decoded, FrameRefused, Measurement, Request


def create(settings):
    return Driver()


class Driver:
    last = 0.0

    def decode(self, frame):
        try:
            document = json.loads(frame.payload)
        except (ValueError, RecursionError):
            raise FrameRefused("malformed", "no JSON") from None
        if not isinstance(document, dict):
            raise FrameRefused("malformed", "no object")
        value = document.get("co2")
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10**9:
            raise FrameRefused("value", "no co2")
        dropped = tuple("?" for key in document if key != "co2")
        return Decoded.of([Measurement("carbon_dioxide", float(value))], dropped)
'''
_MANIFEST: Final = """
sample = \"\"\"
[[device]]
id = "co2-a-301"
room = "a-301"
role = "room_sensor"
driver = "{id}"
{place}
\"\"\"
{exempt}
[driver]
id = "{id}"
version = "1.0.0"
contract = 1
transport = "{transport}"
name_zh = "例"
name_en = "example"
{options}
[families]
{id} = ""

[[field]]
key = "co2"
quantity = "carbon_dioxide"
"""
_PLACES: Final = {
    "mqtt": 'mqtt = { topic = "acme/co2-a-301" }',
    "serial-poll": 'serial = { port = "/dev/ttyUSB0", baud = 9600 }',
    "serial-stream": 'serial = { port = "/dev/ttyUSB0", baud = 9600 }',
}
_README: Final = """# {id}

```toml
{sample}
```

## 设置

## Fields

{fields}

## What is refused

## Sources
"""
_numbers: Final = itertools.count()


def meter_answer(address: int, value: int) -> bytes:
    """An answer of the meter."""
    body = b"%02d%04d" % (address, value)
    return body + b"%02X\r" % (sum(body) & 0xFF)


def stream_frame(value: int) -> bytes:
    """A frame of the sensor that sends by itself."""
    body = b"\xaa" + value.to_bytes(2, "big")
    return body + bytes([sum(body) & 0xFF])


class SampleDriver:
    """One of the drivers, whole until something of it is replaced."""

    def __init__(self, root: Path, transport: str) -> None:
        self.id = f"acme_{transport.replace('-', '_')}_{next(_numbers)}"
        self.folder = root / self.id
        self.transport = transport
        self.code = {"mqtt": MESSAGES, "serial-poll": METER, "serial-stream": STREAM}[transport]
        self.manifest = _MANIFEST
        self.exempt = ""
        self.cases = self._cases()
        self.readme: str | None = None

    def _cases(self) -> list[dict[str, object]]:
        values = (412, 650, 801, 1203, 2400, 812)
        common = {"family": self.id, "source": "Acme Ltd, captured", "licence": "Apache-2.0"}
        found: list[dict[str, object]] = []
        for value in values:
            frame: dict[str, object] = {"payload": {"co2": value}}
            if self.transport == "serial-poll":
                frame = {"bytes_hex": meter_answer(1, value).hex(), "unit_id": 1}
            elif self.transport == "serial-stream":
                frame = {"bytes_hex": stream_frame(value).hex()}
            found.append({"id": str(value), **frame, "expect": {"readings": {"carbon_dioxide": value}}, **common})
        refused = {"payload": "{"} if self.transport == "mqtt" else {"bytes_hex": ""}
        error = "malformed" if self.transport == "mqtt" else "length"
        return [*found, {"id": "refused", **refused, "expect": {"error": error}, **common}]

    def replace(self, old: str, new: str) -> SampleDriver:
        """Spoil a place in the code, which has to be there."""
        assert old in self.code
        self.code = self.code.replace(old, new)
        return self

    def write(self) -> SampleDriver:
        """Write the folder."""
        (self.folder / "fixtures").mkdir(parents=True)
        options = 'options = ["address"]' if self.transport == "serial-poll" else ""
        text = self.manifest.format(
            id=self.id, place=_PLACES[self.transport], exempt=self.exempt, transport=self.transport, options=options
        )
        (self.folder / "driver.toml").write_text(text, encoding="utf-8")
        (self.folder / "driver.py").write_text(self.code, encoding="utf-8")
        lines = "".join(json.dumps(case) + "\n" for case in self.cases)
        (self.folder / "fixtures" / "cases.jsonl").write_text(lines, encoding="utf-8")
        readme = self.readme
        if readme is None:
            manifest = at(self.folder).manifest
            readme = _README.format(id=self.id, sample=manifest.sample.strip(), fields=fields_table(manifest))
        (self.folder / "README.md").write_text(readme, encoding="utf-8")
        return self

    def report(self) -> Report:
        """What the whole suite finds."""
        subject = subject_of(str(self.write().folder))
        return Report(self.id, tuple(check(subject, rule) for rule in rules()))

    def finding(self, name: str) -> Finding:
        """What one check finds."""
        subject = subject_of(str(self.write().folder))
        return check(subject, next(rule for rule in rules() if rule.id == name))

    def forget(self) -> None:
        """Let nothing of it stay imported."""
        sys.path[:] = [path for path in sys.path if path != str(self.folder.parent)]
        for name in [name for name in sys.modules if name.partition(".")[0] == self.id]:
            del sys.modules[name]
