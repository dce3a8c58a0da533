"""Tells keys of a document that speak of a person, whatever format they stand in: who sends one is broken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import FrameRefused

if TYPE_CHECKING:
    from collections.abc import Container

_PARTS: Final = re.compile(
    "pose|posture|eye|gaze|pupil|iris|blink|head|neck|hand|finger|gesture|controller|body|skeleton|limb|face|facial"
    "|expression|emotion|voice|speech|audio|microphone|transcript|photo|image|picture|camera|video"
    "|user|name|account|login|email|mail|phone|person|people|student|teacher|child|class|avatar|profile|gender|birth"
    "|position|rotation|orientation|quaternion|velocity|gyro|accel|location|latitude|longitude|gps"
    "|heart|pulse|biometric|fingerprint|address|ssid|bluetooth|card|serial|text|message|comment|note|token|session"
)
_WORDS: Final = frozenset(("mac", "ip", "imei", "lat", "lon", "age", "sex", "hmd", "imu", "xyz", "uid"))
_NOT_LETTERS: Final = re.compile(r"[^a-z]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def refuse_personal(document: dict[str, Any], known: Container[str]) -> None:
    """Look at every key of a document, however deep, but those that are known. Raises `FrameRefused`."""
    unseen: list[object] = [document]
    while unseen:
        value = unseen.pop()
        if isinstance(value, list):
            unseen.extend(item for item in value if isinstance(item, (dict, list)))
        elif isinstance(value, dict):
            for key, item in value.items():
                if key not in known and is_personal(key):
                    raise FrameRefused("personal", "the frame tells of a person, which the contract forbids")
                if isinstance(item, (dict, list)):
                    unseen.append(item)


def is_personal(key: str) -> bool:
    """Whether a key speaks of a person, or cannot be judged."""
    if not key.isascii():
        return True
    words = [word for word in _NOT_LETTERS.split(_CAMEL.sub("_", key).lower()) if word]
    letters = "".join(words).replace("headset", "")
    return _PARTS.search(letters) is not None or not _WORDS.isdisjoint(words)
