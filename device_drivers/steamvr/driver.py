"""SteamVR computers, by what the bridge SteamVRMQTT publishes of them in the topics of Home Assistant's discovery.

Each message is one word; what it says stands in the topic: `homeassistant/<component>/<host>-<entity>/state`. Two
entities are read, both `ON` or `OFF`: `ovr_online` (SteamVR is running) and `ovr_activity` (OpenVR's activity level of
the headset is 1, "user interaction": `EDeviceActivityLevel` of openvr.h). The third, `ovr_application`, names what is
being played, which nobody outside the room needs to know: refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, FrameRefused, Measurement

if TYPE_CHECKING:
    from device_drivers.contract import Frame, Settings

_QUANTITIES: Final = {"ovr_online": "connectivity", "ovr_activity": "headset_worn"}
_PERSONAL: Final = "ovr_application"
_WORDS: Final = {b"ON": 1.0, b"OFF": 0.0}
_LEVELS: Final = 4
"""Of a state's topic."""


def create(settings: Settings) -> SteamVr:  # noqa: ARG001 - the contract's signature; all are read alike
    """The driver for one computer."""
    return SteamVr()


class SteamVr:
    """Reads one word by its topic."""

    def decode(self, frame: Frame) -> Decoded:
        """Understand one state. Raises `FrameRefused`."""
        levels = frame.topic.split("/")
        if len(levels) != _LEVELS or levels[-1] != "state":
            raise FrameRefused("topic", "not the topic of a state")
        entity = levels[2].rpartition("-")[2]
        if entity == _PERSONAL:
            raise FrameRefused("personal", "the message says what somebody is playing")
        quantity = _QUANTITIES.get(entity)
        if quantity is None:
            raise FrameRefused("topic", "the topic of no entity of the bridge")
        value = _WORDS.get(frame.payload)
        if value is None:
            raise FrameRefused("value", "neither ON nor OFF")
        return Decoded.of([Measurement(quantity, value)])
