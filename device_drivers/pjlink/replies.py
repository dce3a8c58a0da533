"""What each PJLink reply says: one small reader per command.

Source: JBMIA, "PJLink Specifications", Class 1 version 1.04 section 4 and Class 2 version 2.00 section 4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from device_drivers.contract import Decoded, FrameRefused, Measurement
from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Reader: TypeAlias = "Callable[[str], tuple[Measurement, ...]]"

_FAULT_CHANNELS: Final = ("fan", "lamp", "temperature", "cover", "filter", "other")
_MUTES: Final = {"11": (1, 0), "21": (0, 1), "31": (1, 1), "30": (0, 0)}  # picture, sound
_MOST_LAMPS: Final = 8
_SOURCE: Final = re.compile(r"([1-6])([1-9A-Z])")
_HOURS: Final = re.compile(r"[0-9]{1,5}")
_RESOLUTION: Final = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


def _states(quantity_id: str, names: Mapping[str, str]) -> dict[str, float]:
    states = quantity(quantity_id).states
    return {digit: float(states.index(name)) for digit, name in names.items()}


_POWER: Final = _states("display_power", {"0": "off", "1": "on", "2": "cooling_down", "3": "warming_up"})
_FAULT: Final = _states("fault", {"0": "ok", "1": "warning", "2": "error"})
_LAMP: Final = _states("lamp", {"0": "off", "1": "on"})
_INPUT: Final = _states(
    "display_input",
    {"1": "rgb", "2": "video", "3": "digital", "4": "storage", "5": "network", "6": "internal"},
)


def _outside(command: str) -> FrameRefused:
    return FrameRefused("value", f"a value that {command} does not have")


def _power(text: str) -> tuple[Measurement, ...]:
    if text not in _POWER:
        raise _outside("POWR")
    return (Measurement("display_power", _POWER[text]),)


def _input(text: str) -> tuple[Measurement, ...]:
    match = _SOURCE.fullmatch(text)
    if match is None:
        raise _outside("INPT")
    number = int(match.group(2), 36)  # 1 to 9, then A to Z, in Class 2
    return (Measurement("display_input", _INPUT[match.group(1)]), Measurement("display_input_number", float(number)))


def _mutes(text: str) -> tuple[Measurement, ...]:
    if text not in _MUTES:
        raise _outside("AVMT")
    picture, sound = _MUTES[text]
    return (Measurement("video_mute", float(picture)), Measurement("audio_mute", float(sound)))


def _faults(text: str) -> tuple[Measurement, ...]:
    if len(text) != len(_FAULT_CHANNELS) or not set(text) <= _FAULT.keys():
        raise _outside("ERST")
    return tuple(
        Measurement("fault", _FAULT[digit], channel) for digit, channel in zip(text, _FAULT_CHANNELS, strict=True)
    )


def _lamps(text: str) -> tuple[Measurement, ...]:
    parts = text.split(" ")
    hours, states = parts[::2], parts[1::2]
    if len(hours) != len(states) or len(hours) > _MOST_LAMPS:
        raise _outside("LAMP")
    measurements: list[Measurement] = []
    for number, (lit, state) in enumerate(zip(hours, states, strict=True), start=1):
        if _HOURS.fullmatch(lit) is None or state not in _LAMP:
            raise _outside("LAMP")
        measurements.append(Measurement("lamp_hours", float(lit), str(number)))
        measurements.append(Measurement("lamp", _LAMP[state], str(number)))
    return tuple(measurements)


def _filter(text: str) -> tuple[Measurement, ...]:
    if _HOURS.fullmatch(text) is None:
        raise _outside("FILT")
    return (Measurement("filter_hours", float(text)),)


def _inputs(text: str) -> tuple[Measurement, ...]:
    sources = text.split(" ")
    if not all(_SOURCE.fullmatch(source) for source in sources):
        raise _outside("INST")
    return (Measurement("input_count", float(len(sources))),)


def _class(text: str) -> tuple[Measurement, ...]:
    if text not in ("1", "2"):
        raise _outside("CLSS")
    return (Measurement("protocol_version", float(text)),)


def _resolution(text: str, command: str, channel: str) -> tuple[Measurement, ...]:
    match = _RESOLUTION.fullmatch(text)
    if match is None:
        raise _outside(command)
    width, height = float(match.group(1)), float(match.group(2))
    return (
        Measurement("horizontal_resolution", width, channel),
        Measurement("vertical_resolution", height, channel),
    )


def _signal(text: str) -> tuple[Measurement, ...]:
    return () if text == NO_SIGNAL else _resolution(text, "IRES", "")


def _recommended(text: str) -> tuple[Measurement, ...]:
    return _resolution(text, "RRES", "recommended")


NO_SIGNAL: Final = "-"
TEXTS: Final = frozenset(
    ("NAME", "INF1", "INF2", "INFO", "INNM", "SNUM", "SVER", "RLMP", "RFIL", "FREZ", "LKUP", "ACKN")
)
"""Commands whose reply is free text, a serial number or a hardware address, or that no quantity stands for."""

_READERS: Final[Mapping[str, Reader]] = {
    "POWR": _power,
    "INPT": _input,
    "AVMT": _mutes,
    "ERST": _faults,
    "LAMP": _lamps,
    "INST": _inputs,
    "CLSS": _class,
    "FILT": _filter,
    "IRES": _signal,
    "RRES": _recommended,
}


def read(command: str, text: str) -> Decoded:
    """What a reply's value says. Raises `FrameRefused`."""
    if command in TEXTS:
        return Decoded((), (command,))
    reader = _READERS.get(command)
    if reader is None:
        raise FrameRefused("unexpected", "a reply to a command that PJLink does not have")
    return Decoded.of(reader(text))
