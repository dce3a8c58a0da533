"""What LoRaWAN sensors of various makers send: model, port, and the bytes of one report.

Formats: myDevices, "Cayenne LPP" 1.0, data types; Dragino, "LHT65 User Manual", uplink payload (port 2); Elsys, "LoRa
payload format" 10/2021; Milesight, "EM300 Series User Guide", uplink packet (port 85); Netvox, "LoRaWAN Application
Command" V1.9, report data of R711 and RA0715 (port 6); Tektelic, "Comfort Smart Room Sensor TRM", uplink (port 10);
Seeed, "SenseCAP LoRaWAN decoding", frames of id and value in thousandths, closed by a CRC (CCITT, low byte first);
Laird, "RS1xx LoRa Protocol", "Send temp RH"; Decentlab, "DL-SHT35 Datasheet", payload; EMU, "LoRaWAN payload", data
with time stamp and CRC-8; Browan, "TBHH100 Reference Manual", section 4.1.2; Milesight, "GS524N User Guide", uplink
packet; Seeed, "SenseCAP S2120 User Guide", decoding.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.gauge import Gauge


@dataclass(frozen=True, slots=True)
class Report:
    """How one model reports."""

    model: str
    port: int
    compose: Callable[[Gauge], bytes]


def browan_tbhh100(gauge: Gauge) -> bytes:
    """Status, battery in tenths of a volt above 2.5, temperature in degrees above -32, humidity."""
    tenths = gauge.take("battery_voltage", 0.1)
    return bytes((0, tenths - 25, gauge.take("temperature") + 32, gauge.take("humidity")))


def cayenne_lpp(gauge: Gauge) -> bytes:
    """A channel, a type and its value for each: light, presence, temperature, humidity."""
    return struct.pack(
        ">2sH2sB2sh2sB",
        *(b"\x01\x65", gauge.take("illuminance")),
        *(b"\x02\x66", gauge.take("occupancy")),
        *(b"\x03\x67", gauge.take("temperature", 0.1)),
        *(b"\x04\x68", gauge.take("humidity", 0.5)),
    )


def dragino_lht65(gauge: Gauge) -> bytes:
    """Battery in millivolts below two bits of its state; temperature, humidity; no external sensor."""
    millivolts = gauge.take("battery_voltage", 0.001)
    climate = struct.pack(">hH", gauge.take("temperature", 0.01), gauge.take("humidity", 0.1))
    return struct.pack(">H", 0b11 << 14 | millivolts) + climate + b"\x01\x7f\xff\x7f\xff"


def elsys_ers_co2(gauge: Gauge) -> bytes:
    """Types and values: temperature, humidity, light, movements, CO2, battery."""
    return struct.pack(
        ">BhBBBHBBBHBH",
        *(0x01, gauge.take("temperature", 0.1)),
        *(0x02, gauge.take("humidity")),
        *(0x04, gauge.take("illuminance")),
        *(0x05, gauge.take("motion_count")),
        *(0x06, gauge.take("carbon_dioxide")),
        *(0x07, gauge.take("battery_voltage", 0.001)),
    )


def milesight_em300(gauge: Gauge) -> bytes:
    """Channel, type and little-endian value: battery, temperature, humidity."""
    return struct.pack(
        "<2sB2sh2sB",
        *(b"\x01\x75", gauge.take("battery")),
        *(b"\x03\x67", gauge.take("temperature", 0.1)),
        *(b"\x04\x68", gauge.take("humidity", 0.5)),
    )


def netvox_r711(gauge: Gauge) -> bytes:
    """Version, device type 01, report type 01, battery in tenths of a volt, temperature and humidity in hundredths."""
    head = b"\x01\x01\x01" + _netvox_battery(gauge)
    climate = struct.pack(">hH", gauge.take("temperature", 0.01), gauge.take("humidity", 0.01))
    return head + climate + bytes(3)


def netvox_ra0715(gauge: Gauge) -> bytes:
    """Version, device type 05, report type 07: CO2 and sound in tenths, what is not there as FFFF."""
    volts = 120
    gauge.say("battery_voltage", volts / 10)
    gauge.say("battery_low", 0.0)
    co2, sound = gauge.take("carbon_dioxide", 0.1), gauge.take("sound_pressure", 0.1)
    return b"\x01\x05\x07" + struct.pack(">BHHHB", volts, co2, 0xFFFF, sound, 0)


def tektelic_comfort(gauge: Gauge) -> bytes:
    """Channel, type and value: battery, temperature, humidity, the count of movements."""
    return struct.pack(
        ">2sB2sh2sB2sH",
        *(b"\x00\xd3", gauge.take("battery")),
        *(b"\x03\x67", gauge.take("temperature", 0.1)),
        *(b"\x04\x68", gauge.take("humidity", 0.5)),
        *(b"\x0d\x04", gauge.take("motion_count")),
    )


def sensecap(gauge: Gauge) -> bytes:
    """A channel, the measurement's id and its value in thousandths, for each; then the check sum of all."""
    measured = (
        (0x1004, gauge.take("carbon_dioxide", 1) * 1000),
        (0x1001, gauge.take("temperature", 0.01) * 10),
        (0x1002, gauge.take("humidity", 0.1) * 100),
        (0x1003, gauge.take("illuminance", 1) * 1000),
    )
    body = b"".join(struct.pack("<BHi", 1, number, value) for number, value in measured)
    return body + crc_ccitt(body).to_bytes(2, "little")


def sensecap_s2120(gauge: Gauge) -> bytes:
    """Entry 01: climate, light, no ultraviolet, no wind; 02: no direction, no rain, pressure in tens of pascals."""
    climate = gauge.take("temperature", 0.1), gauge.take("humidity"), gauge.take("illuminance")
    gauge.say("wind_speed", 0.0)
    return struct.pack(">BhBIBHBHIH", 1, *climate, 0, 0, 2, 0, 0, gauge.take("atmospheric_pressure", 0.1))


def milesight_gs524n(gauge: Gauge) -> bytes:
    """Versions, a smoke detector's message 7, battery, no smoke, temperature, and what makes the sum zero."""
    gauge.state("smoke", "clear")
    gauge.state("fault", "ok")
    body = struct.pack(">BBBBb", 0x22, 0x17, gauge.take("battery"), 0, gauge.take("temperature"))
    return body + bytes((-sum(body) & 0xFF,))


def laird_rs1xx(gauge: Gauge) -> bytes:
    """Message type 01, its options, humidity and temperature as whole and hundredths, battery by fifths, two counts."""
    humidity = divmod(gauge.take("humidity", 0.01), 100)
    sign, hundredths = 1, gauge.take("temperature", 0.01)
    if hundredths < 0:
        sign, hundredths = -1, -hundredths
    whole, rest = divmod(hundredths, 100)
    gauge.say("battery_low", 0.0)
    return struct.pack(">BBBBbbBHH", 1, 0, humidity[1], humidity[0], sign * rest, sign * whole, 5, 0, 0)


def decentlab_sht35(gauge: Gauge) -> bytes:
    """Protocol 2, the device's number, flags 3: the raw words of an SHT35, then the battery in millivolts."""
    temperature = round((gauge.room.air.temperature_c + gauge.rng.gauss(0.0, 0.05) + 45) * 65535 / 175)
    humidity = round(gauge.room.air.humidity * 65535 / 100)
    gauge.say("temperature", 175 * temperature / 65535 - 45)
    gauge.say("humidity", 100 * humidity / 65535)
    return struct.pack(">BHHHHH", 2, 1, 3, temperature, humidity, gauge.take("battery_voltage", 0.001))


def emu_professional(gauge: Gauge) -> bytes:
    """A time stamp, then a type and its value for each: power of all phases, voltage and current of the first."""
    power, volts = gauge.take("power"), gauge.take("voltage", 0.1)
    amperes = gauge.take("current", 0.001)
    body = struct.pack("<IBiBiBi", gauge.now_ms // 1000, 0x0B, power, 0x10, amperes, 0x14, volts)
    return body + bytes((crc_8(body),))


def crc_ccitt(data: bytes) -> int:
    """CRC-16 with polynomial 1021, bits reversed, from 0 (Kermit)."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value


def crc_8(data: bytes) -> int:
    """CRC-8 with polynomial 07, from 0."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x07 if value & 0x80 else 0)) & 0xFF
    return value


def _netvox_battery(gauge: Gauge) -> bytes:
    low = gauge.take("battery_low")
    return bytes((low << 7 | gauge.take("battery_voltage", 0.1),))


REPORTS: Final = {
    "browan": Report("TBHH100", 103, browan_tbhh100),
    "cayenne_lpp": Report("", 1, cayenne_lpp),
    "dragino": Report("LHT65", 2, dragino_lht65),
    "elsys": Report("", 5, elsys_ers_co2),
    "milesight": Report("EM300-TH", 85, milesight_em300),
    "milesight_gs524n": Report("GS524N", 85, milesight_gs524n),
    "netvox": Report("R711", 6, netvox_r711),
    "netvox_ra07": Report("RA0715", 6, netvox_ra0715),
    "tektelic": Report("COMFORT", 10, tektelic_comfort),
    "sensecap": Report("", 2, sensecap),
    "sensecap_s2120": Report("S2120", 3, sensecap_s2120),
    "laird": Report("RS1XX-TEMP-RH-SENSOR", 1, laird_rs1xx),
    "decentlab": Report("DL-SHT35", 1, decentlab_sht35),
    "emu_meter": Report("", 2, emu_professional),
}
"""By the kind of device."""
