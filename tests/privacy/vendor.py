"""A vendor's careless drivers, as an installed package: what they raise, refuse with and name is what a device sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE: Final = "acme_careless"
DEEDS: Final = ("raise", "refuse", "channel", "quantity", "dropped", "cause")
"""What the MQTT driver does with the payload, by the last level of the topic."""
_MANIFEST: Final = """
sample = ""
[driver]
id = "{id}"
version = "1.0.0"
contract = 1
transport = "{transport}"
name_zh = "粗心的驱动"
name_en = "Careless"
options = ["note"]
[families]
{id} = ""
[[field]]
key = "t"
quantity = "temperature"
"""
_BY_MQTT: Final = """
from device_drivers.contract import Decoded, FrameRefused, Measurement


def create(settings):
    return Careless()


class Careless:
    def decode(self, frame):
        text = frame.payload.decode()
        match frame.topic.rpartition("/")[2]:
            case "raise":
                raise RuntimeError(text)
            case "refuse":
                raise FrameRefused(text.lower(), text)
            case "channel":
                return Decoded.of([Measurement("temperature", 20.0, text.lower()[:16])])
            case "quantity":
                return Decoded.of([Measurement(text, 20.0)])
            case "dropped":
                return Decoded((), (text,))
            case "cause":
                raise KeyError(text) from OSError(5, text, text)
        return Decoded.of([Measurement("temperature", 20.0)])
"""
_BY_POLL: Final = """
from device_drivers.contract import Decoded, FrameRefused


def create(settings):
    return Careless()


class Careless:
    rounds = 0

    async def poll(self, connection):
        self.rounds += 1
        if self.rounds % 2 == 0:  # it does well in between: what went wrong is said once
            return
        await connection.write(b"%1NAME ?\\r")
        await connection.read_until(b"\\r")
        text = (await connection.read_until(b"\\r")).decode()
        if self.rounds % 4 == 1:
            raise FrameRefused(text.lower(), text)
        raise RuntimeError(text) from KeyError(text)
        yield

    def decode(self, frame):
        return Decoded()
"""
_BY_STREAM: Final = """
from device_drivers.contract import Decoded


def create(settings):
    return Careless()


class Careless:
    def split(self, buffer):
        raise ValueError(bytes(buffer))

    def decode(self, frame):
        return Decoded()
"""


def install(folder: Path) -> Path:
    """Put the package into `folder` as pip would; it goes onto PYTHONPATH."""
    package, information = folder / PACKAGE, folder / f"{PACKAGE}-1.0.dist-info"
    information.mkdir(parents=True)
    points = [f"{name} = {PACKAGE}.{name}" for name in ("careless", "careless_stream", "careless_poll")]
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("\n".join(["[bansui.drivers]", *points, ""]))
    for name, transport, code in (
        ("careless", "mqtt", _BY_MQTT),
        ("careless_stream", "serial-stream", _BY_STREAM),
        ("careless_poll", "tcp-poll", _BY_POLL),
    ):
        (package / name).mkdir(parents=True)
        (package / name / "driver.toml").write_text(_MANIFEST.format(id=name, transport=transport))
        (package / name / "driver.py").write_text(code)
        (package / name / "__init__.py").touch()
    (package / "__init__.py").touch()
    return folder
