"""VR stations: the health of a headset as its station publishes it, by the contract in this folder's README.md.

The contract has no place for what a person does with the headset. A frame with a key that names a person, a body or
a movement is refused whole: the sender is broken, and nothing of it is kept.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import Decoded, FrameRefused
from device_drivers.json_table import JsonTable, parse_object
from device_drivers.manifest import load

if TYPE_CHECKING:
    from device_drivers.contract import Frame, Settings

_VERSION: Final = 1
_ENVELOPE: Final = ("v", "time", "seq")
_LATEST_MS: Final = 10**14

_PERSONAL: Final = re.compile(
    "pose|posture|eye|gaze|pupil|iris|blink|head|neck|hand|finger|gesture|controller|body|skeleton|limb|face|facial"
    "|expression|emotion|voice|speech|audio|microphone|transcript|photo|image|picture|camera|video"
    "|user|name|account|login|email|mail|phone|person|people|student|teacher|child|class|avatar|profile|gender|birth"
    "|position|rotation|orientation|quaternion|velocity|gyro|accel|location|latitude|longitude|gps"
    "|heart|pulse|biometric|fingerprint|address|ssid|bluetooth|card|serial|text|message|comment|note|token|session"
)
_PERSONAL_WORDS: Final = frozenset(("mac", "ip", "imei", "lat", "lon", "age", "sex", "hmd", "imu", "xyz", "uid"))
_NOT_LETTERS: Final = re.compile(r"[^a-z]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def create(settings: Settings) -> VrStation:  # noqa: ARG001 - the contract's signature; there is one contract
    """The driver for one station."""
    return VrStation(_table())


@cache
def _table() -> JsonTable:
    """The fields of `driver.toml`, the same for every station."""
    return JsonTable.of(load(Path(__file__).parent).field, _ENVELOPE)


class VrStation:
    """Decodes version 1 of the VR station contract."""

    def __init__(self, table: JsonTable) -> None:
        self._table = table
        self._known = table.columns.keys() | table.envelope

    def decode(self, frame: Frame) -> Decoded:
        """Understand one publication. Raises `FrameRefused`."""
        document = parse_object(frame.payload)
        self._refuse_personal(document)
        if _whole(document.get("v")) != _VERSION:
            raise FrameRefused("version", "the frame is not of version 1 of the contract")
        time = _whole(document.get("time"))
        if not 0 < time < _LATEST_MS:
            raise FrameRefused("malformed", "time is not epoch milliseconds")
        return self._table.read(document, time)

    def _refuse_personal(self, document: dict[str, Any]) -> None:
        unseen: list[object] = [document]
        while unseen:
            value = unseen.pop()
            if isinstance(value, list):
                unseen.extend(item for item in value if isinstance(item, (dict, list)))
            elif isinstance(value, dict):
                for key, item in value.items():
                    if key not in self._known and _is_personal(key):
                        raise FrameRefused("personal", "the frame tells of a person, which the contract forbids")
                    if isinstance(item, (dict, list)):
                        unseen.append(item)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _is_personal(key: str) -> bool:
    if not key.isascii():
        return True  # it cannot be judged
    words = [word for word in _NOT_LETTERS.split(_CAMEL.sub("_", key).lower()) if word]
    letters = "".join(words).replace("headset", "")
    return _PERSONAL.search(letters) is not None or not _PERSONAL_WORDS.isdisjoint(words)
