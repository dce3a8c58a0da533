"""Milesight AM307 sensors, as ChirpStack v4 and The Things Stack v3 publish what they send.

Formats: chirpstack.io/docs, "Integrations", "Event types" (`up`); thethingsindustries.com/docs, "Data Formats" (uplink
message); Milesight, "AM300 Series User Guide", "Uplink Packet": channel, type and little-endian value, on port 85.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import struct
from typing import TYPE_CHECKING, Any, Final

from simulators.emissions import Emission
from simulators.gauge import Gauge

if TYPE_CHECKING:
    from simulators.gauge import Readings
    from simulators.lorawan_payloads import Report
    from simulators.scenarios import DeviceModel
    from simulators.seeding import Noise
    from simulators.senses import Senses

MODEL: Final = "AM307"
CHIRPSTACK: Final = "chirpstack"
THINGS_STACK: Final = "things-stack"
APPLICATION: Final = "0a4d8c52-6d1f-4c8e-9b1a-2f6f3f1f8a11"
PORT: Final = 85
_PASCALS_AT_SEA: Final = 1013.2


def dev_eui(device: str) -> str:
    """The address of a sensor's radio: made up from its id, in the range for local use."""
    return f"02{sum(ord(letter) * 31**place for place, letter in enumerate(device)) % 256**7:014x}"


def topic(device: str, server: str) -> str:
    """Where the server publishes what the sensor sent."""
    if server == CHIRPSTACK:
        return f"application/{APPLICATION}/device/{dev_eui(device)}/event/up"
    return f"v3/school@ttn/devices/{device}/up"


class LorawanSensor:
    """One sensor behind one of the two servers."""

    def __init__(
        self,
        model: DeviceModel,
        room: Senses,
        rng: Noise,
        server: str = CHIRPSTACK,
        report: Report | None = None,
    ) -> None:
        """`report` is how its model reports; None for an AM307."""
        self.id = model.id
        self.cadence_ms = model.cadence_s * 1000
        self.phase_ms = rng.randrange(self.cadence_ms // 10, self.cadence_ms)
        self._room, self._rng, self._server = room, rng, server
        self._report, self._gauge = report, Gauge(room, rng)
        self._port = PORT if report is None else report.port
        self._frame = 0

    def emit(self, at_ms: int) -> Emission:
        """The uplink of that moment in its server's envelope."""
        if self._report is None:
            payload, readings = self._measure()
        else:
            payload = self._report.compose(self._gauge)
            readings = self._gauge.told()
        rssi = round(-88 + self._rng.gauss(0.0, 4.0))
        envelope = self._chirpstack if self._server == CHIRPSTACK else self._things_stack
        message = json.dumps(envelope(at_ms, base64.b64encode(payload).decode(), rssi)).encode()
        self._frame += 1
        heard = (*readings, ("signal_strength", float(rssi)))
        return Emission(self.id, at_ms, topic(self.id, self._server), message, heard)

    def _measure(self) -> tuple[bytes, Readings]:
        air = self._room.air
        temperature = round(10 * (air.temperature_c + self._rng.gauss(0.0, 0.05)))
        humidity = round(2 * min(100.0, max(0.0, air.humidity + self._rng.gauss(0.0, 0.3))))
        seen, level = int(self._room.people > 0), min(5, int(self._room.illuminance_lx / 120))
        co2 = round(air.co2_ppm + self._rng.gauss(0.0, 8.0))
        iaq = round(min(500.0, 100 + 4 * self._room.people + abs(self._rng.gauss(0.0, 3.0))))
        pressure = round(10 * (_PASCALS_AT_SEA + self._rng.gauss(0.0, 0.2)))
        payload = struct.pack(
            "<2sh2sB2sB2sB2sH2sH2sH",
            *(b"\x03\x67", temperature, b"\x04\x68", humidity, b"\x05\x00", seen, b"\x06\xcb", level),
            *(b"\x07\x7d", co2, b"\x08\x7d", iaq, b"\x09\x73", pressure),
        )
        return payload, (
            ("temperature", temperature / 10),
            ("humidity", humidity / 2),
            ("occupancy", float(seen)),
            ("illuminance_level", float(level)),
            ("carbon_dioxide", float(co2)),
            ("voc_index", iaq / 100),
            ("atmospheric_pressure", pressure / 10),
        )

    def _chirpstack(self, at_ms: int, data: str, rssi: int) -> dict[str, Any]:
        counted = {"fCnt": self._frame} if self._frame else {}  # a zero is left out
        return {
            "deduplicationId": f"00000000-0000-4000-8000-{self._frame:012x}",
            "time": _rfc_3339(at_ms, "+00:00"),
            "deviceInfo": {"applicationId": APPLICATION, "deviceName": self.id, "devEui": dev_eui(self.id)},
            "dr": 5,
            **counted,
            "fPort": self._port,
            "data": data,
            "rxInfo": [{"gatewayId": "0200000000000001", "rssi": rssi, "snr": 7.5, "location": {"altitude": 12.0}}],
        }

    def _things_stack(self, at_ms: int, data: str, rssi: int) -> dict[str, Any]:
        counted = {"f_cnt": self._frame} if self._frame else {}
        uplink = {
            "f_port": self._port,
            **counted,
            "frm_payload": data,
            "rx_metadata": [{"gateway_ids": {"gateway_id": "roof"}, "rssi": rssi, "channel_rssi": rssi, "snr": 8}],
            "received_at": _rfc_3339(at_ms, "Z"),
        }
        identity = {"device_id": self.id, "dev_eui": dev_eui(self.id).upper()}
        return {"end_device_ids": identity, "received_at": _rfc_3339(at_ms + 200, "Z"), "uplink_message": uplink}


def _rfc_3339(at_ms: int, zone: str) -> str:
    """With nine digits, as both servers write it."""
    moment = dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}000417{zone}"
