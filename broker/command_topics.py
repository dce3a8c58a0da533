"""What a device may subscribe to without being told: its own commands, and what devices expect to be kept.

And what an agent that subscribes to a broker has to publish there: requests to devices.

Sources: Tasmota's documentation, "MQTT" (`%prefix%/%topic%/`); Zigbee2MQTT, `lib/mqtt.ts`, which subscribes to all
below its base topic and ends where that is refused; ESPHome, "MQTT Client Component" (`command_topic`); Home Assistant,
"MQTT", birth and last will (`homeassistant/status`); Eclipse Sparkplug Specification 3.0.0, chapter 4 (NCMD, DCMD,
STATE), with the topics below them, which some edge nodes subscribe to.
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
_SPARKPLUG: Final = "spBv1.0"
_SPARKPLUG_COMMANDS: Final = ("NCMD", "DCMD")
_SPARKPLUG_STATE: Final = "spBv1.0/STATE/#"
_VERBS: Final = ("set", "get", "command")


def readable(publish: Iterable[str], subscribe: Iterable[str]) -> tuple[str, ...]:
    """The filters of a client that may publish and subscribe to these, with its commands and what is kept."""
    derived = (command for topic_filter in publish for command in _commands(topic_filter))
    return tuple(dict.fromkeys((*subscribe, *derived, *KEPT)))


def requests(heard: Iterable[str]) -> tuple[str, ...]:
    """Where requests go to devices that are heard at these filters: Sparkplug's nodes are asked for a rebirth."""
    return tuple(dict.fromkeys(place for topic_filter in heard for place in _rebirths(topic_filter)))


def _rebirths(topic_filter: str) -> list[str]:
    """Where nodes are asked whose messages a filter takes in."""
    above, *below = ("+",) if topic_filter == "#" else topic_filter.removesuffix("/#").split("/")
    levels = [*below, "+", "+", "+"] if topic_filter.endswith("#") else below
    return [f"{_SPARKPLUG}/{levels[0]}/NCMD/{levels[2]}"] if above in (_SPARKPLUG, "+") and len(levels) > 2 else []


def _commands(topic_filter: str) -> list[str]:
    """The commands of who publishes there. Who may publish as anybody, or in one topic only, has none."""
    prefix, *levels = topic_filter.split("/")
    if prefix in ("", "+", "#") or not levels:
        return []
    if prefix in _TELLS and levels[0] != "#":
        return [f"cmnd/{levels[0]}/#", _ALL_TASMOTA]
    if prefix == _SPARKPLUG:
        return _sparkplug_commands(levels)
    if prefix in _TELLS or levels[-1] != "#":
        return []
    if topic_filter == _ZIGBEE2MQTT:
        return [_ZIGBEE2MQTT]
    base = topic_filter.removesuffix("/#")
    return [f"{base}{between}/{verb}" for verb in _VERBS for between in ("", "/+", "/+/+")]


def _sparkplug_commands(levels: list[str]) -> list[str]:
    """The commands of a node, or of all nodes of a group, and the state of the hosts that nodes wait for."""
    group, *rest = levels
    node = "#" if rest[:1] == ["#"] else rest[1] if len(rest) > 1 else ""
    if group in ("+", "#") or not node:
        return []
    nodes = "#" if node in ("+", "#") else f"{node}/#"
    return [f"{_SPARKPLUG}/{group}/{command}/{nodes}" for command in _SPARKPLUG_COMMANDS] + [_SPARKPLUG_STATE]
