"""Headsets that run Android (Meta Quest, Pico), by what their own services print over adb, published as it is printed.

Three printouts are understood, whichever a message holds:

- `dumpsys battery` (AOSP, `BatteryService.dump`): lines of `key: value`; level of scale, status as in
  `BatteryManager.BATTERY_STATUS_*`, voltage in mV, temperature in tenths of a degree. After somebody has set a value
  by hand the service says "UPDATES STOPPED": what it prints then is no measurement.
- `dumpsys thermalservice` (AOSP, `ThermalManagerService.dump`): `Thermal Status: N`, as in
  `PowerManager.THERMAL_STATUS_*`, and the temperatures "from HAL", by `Temperature.TYPE_*`. "IsStatusOverride: true"
  says that somebody has set the status; without a HAL ("HAL Ready: false") it is 0 whatever the headset does.
- lines of `VrApi` in the log of a Quest (Meta, "Logcat VrApi Stats"): `FPS=72/72,...,Temp=31.0C/0.0C,...`, one a
  second; of several the last counts.

Anything else in them is left alone: nothing there speaks of a person, and nothing of it has a quantity.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, FrameRefused, Measurement

if TYPE_CHECKING:
    from device_drivers.contract import Frame, Settings

MOST_BYTES: Final = 65_536
"""Of a message: each of the printouts is shorter, also where a maker's battery service prints its logs."""

_BATTERY: Final = re.compile(r"^ {0,8}(level|scale|status|voltage|temperature): (-?[0-9]{1,7})$", re.MULTILINE)
_NO_BATTERY: Final = re.compile(r"^ {0,8}present: false$", re.MULTILINE)
_SET_BY_HAND: Final = ("UPDATES STOPPED", "IsStatusOverride: true")
_UNMEASURED: Final = "HAL Ready: false"
_FROM_HAL: Final = re.compile(r"^ {0,8}Current temperatures from HAL:\n((?:[ \t][^\n]*\n?)*)", re.MULTILINE)
_TEMPERATURE: Final = re.compile(r"\{mValue=(-?[0-9]{1,3}\.[0-9]+), mType=([013]), mName=(?!TYPE_)")
"""A HAL that names its sensors `TYPE_...` counts the types otherwise."""
_TYPES: Final = {"0": "cpu", "1": "gpu", "3": "skin"}
"""That of the battery, 2, is told by the battery's own service."""
_THERMAL: Final = re.compile(r"^ {0,8}Thermal Status: ([0-6])$", re.MULTILINE)
_STATISTICS: Final = re.compile(
    r"FPS=([0-9]{1,3})(?:/[0-9]{1,3})?,(?:(?!FPS=)[^\n]){0,512}?Temp=(-?[0-9]{1,3}\.[0-9])C"
)
_CHARGING: Final = {2: 1.0, 5: 1.0, 3: 0.0, 4: 0.0}
"""Charging and full are on the charger, discharging and not charging are not; 1 is unknown."""
_HEAT: Final = (0, 1, 1, 2, 3, 3, 3)
"""none; light and moderate; severe; critical, emergency and shutdown."""
_CELL: Final = "battery"
_DEGREE: Final = 10
_VOLT: Final = 1000


def create(settings: Settings) -> AndroidHeadset:  # noqa: ARG001 - the contract's signature; all are read alike
    """The driver for one headset."""
    return AndroidHeadset()


class AndroidHeadset:
    """Reads the printouts."""

    def decode(self, frame: Frame) -> Decoded:
        """Understand one message. Raises `FrameRefused`."""
        if len(frame.payload) > MOST_BYTES:
            raise FrameRefused("too_large", "more than a printout has")
        text = frame.payload.decode("utf-8", "replace").replace("\r\n", "\n")
        if any(words in text for words in _SET_BY_HAND):
            raise FrameRefused("simulated", "somebody has set the values by hand")
        found = {(each.quantity, each.channel): each for each in (*_battery(text), *_thermal(text), *_statistics(text))}
        dropped = ("Thermal Status",) if _UNMEASURED in text else ()
        if not found and not dropped:
            raise FrameRefused("malformed", "none of the printouts that are understood")
        return Decoded.of(found.values(), dropped)


def _battery(text: str) -> list[Measurement]:
    if _NO_BATTERY.search(text) is not None:
        return []
    values = {key: int(number) for key, number in reversed(_BATTERY.findall(text))}  # makers' logs follow the state
    found = []
    if "level" in values and values.get("scale", 0) > 0:
        found.append(Measurement("battery", 100 * values["level"] / values["scale"]))
    if values.get("status") in _CHARGING:
        found.append(Measurement("battery_charging", _CHARGING[values["status"]]))
    if values.get("voltage", 0) > 0:
        found.append(Measurement("battery_voltage", values["voltage"] / _VOLT))
    if "temperature" in values:
        found.append(Measurement("device_temperature", values["temperature"] / _DEGREE, _CELL))
    return found


def _thermal(text: str) -> list[Measurement]:
    if _UNMEASURED in text:
        return []
    found = [Measurement("thermal_state", _HEAT[int(status)]) for status in _THERMAL.findall(text)]
    hottest: dict[str, float] = {}
    for block in _FROM_HAL.findall(text):
        for degrees, kind in _TEMPERATURE.findall(block):
            hottest[kind] = max(float(degrees), hottest.get(kind, float(degrees)))
    return found + [Measurement("device_temperature", hottest[kind], _TYPES[kind]) for kind in hottest]


def _statistics(text: str) -> list[Measurement]:
    """Of the last line of the log."""
    lines = _STATISTICS.findall(text)[-1:]
    return [
        each
        for rate, heat in lines
        for each in (Measurement("frame_rate", float(rate)), Measurement("device_temperature", float(heat), _CELL))
    ]
