"""What a device may subscribe to without being told: its own commands, and what devices expect to be kept.

Sources: Tasmota's documentation, "MQTT" (`%prefix%/%topic%/`); Zigbee2MQTT, `lib/mqtt.ts`, which subscribes to all
below its base topic and ends where that is refused; ESPHome, "MQTT Client Component" (`command_topic`); Home Assistant,
"MQTT", birth and last will (`homeassistant/status`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEPT: Final[Mapping[str, bytes]] = {"homeassistant/status": b"online"}
"""Retained messages that devices wait for before they tell what they have."""

_TELLS: Final = ("tele", "stat")
_ALL_TASMOTA: Final = "cmnd/tasmotas/#"
_ZIGBEE2MQTT: Final = "zigbee2mqtt/#"
_VERBS: Final = ("set", "get", "command")


def readable(publish: Iterable[str], subscribe: Iterable[str]) -> tuple[str, ...]:
    """The filters of a client that may publish and subscribe to these, with its commands and what is kept."""
    derived = (command for topic_filter in publish for command in _commands(topic_filter))
    return tuple(dict.fromkeys((*subscribe, *derived, *KEPT)))


def _commands(topic_filter: str) -> list[str]:
    """The commands of who publishes there. Who may publish as anybody, or in one topic only, has none."""
    prefix, *levels = topic_filter.split("/")
    if prefix in ("", "+", "#") or not levels:
        return []
    if prefix in _TELLS and levels[0] != "#":
        return [f"cmnd/{levels[0]}/#", _ALL_TASMOTA]
    if prefix in _TELLS or levels[-1] != "#":
        return []
    if topic_filter == _ZIGBEE2MQTT:
        return [_ZIGBEE2MQTT]
    base = topic_filter.removesuffix("/#")
    return [f"{base}{between}/{verb}" for verb in _VERBS for between in ("", "/+", "/+/+")]
