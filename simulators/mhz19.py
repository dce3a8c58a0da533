"""Winsen MH-Z19B CO2 sensors: nine bytes each way, 9600 baud.

Format: Winsen, "MH-Z19B User's Manual" V1.7, command 0x86; byte 4 as sensors in the field fill it, degrees above -40.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simulators.asked_line import Answer

if TYPE_CHECKING:
    from simulators.scenarios import DeviceModel
    from simulators.seeding import Noise
    from simulators.senses import Senses

MODEL: Final = "MH-Z19B"
QUESTION: Final = b"\xff\x01\x86\x00\x00\x00\x00\x00\x79"
_OWN_HEAT_K: Final = 4


class Co2Sensor:
    """One sensor."""

    def __init__(self, model: DeviceModel, room: Senses, rng: Noise) -> None:
        self.id = model.id
        self._room, self._rng = room, rng

    def answer(self, question: bytes) -> Answer | None:
        """The present CO2, to the one question."""
        if question != QUESTION:
            return None
        co2 = round(self._room.air.co2_ppm + self._rng.gauss(0.0, 10.0))
        celsius = round(self._room.air.temperature_c) + _OWN_HEAT_K
        body = bytes((0x86, co2 >> 8, co2 & 0xFF, celsius + 40, 0, 0, 0))
        readings = (("carbon_dioxide", float(co2)), ("device_temperature", float(celsius)))
        return Answer(b"\xff" + body + bytes((-sum(body) & 0xFF,)), readings)
