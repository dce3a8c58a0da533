"""Devices that describe themselves by Home Assistant's MQTT discovery, such as ESPHome nodes.

Source: home-assistant.io/docs, "MQTT" (discovery, availability, sensor, binary sensor, switch); esphome.io, "MQTT
Client Component". The device's own discovery messages teach the driver which topic holds what, in which unit; nothing
else is read. What was learned is kept in memory: a broker keeps those messages, and a device sends them whenever it
connects.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device_drivers.channels import words_in
from device_drivers.contract import Decoded, FrameRefused, Measurement
from device_drivers.home_assistant.discovery import Entity, entities, text
from device_drivers.home_assistant.templates import follow
from device_drivers.json_table import Column, parse_object
from device_drivers.manifest import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from device_drivers.contract import Frame, Settings

MOST_ENTITIES: Final = 128
_CONFIG: Final = "/config"
_LONGEST_SCALAR: Final = 64
_NOTHING: Final = frozenset({"", "nan", "none", "null", "unknown", "unavailable"})
"""What stands in the place of a value that was not measured."""

_REASONS: Final = {
    "template": "a value template that does more than name a value",
    "unit": "a unit that cannot be converted into the quantity's",
    "device_class": "an entity whose device class stands for no quantity",
    "component": "an entity that measures nothing",
    "topic": "an entity without a topic to read",
}


def create(settings: Settings) -> HomeAssistant:  # noqa: ARG001 - the contract's signature; every model is read alike
    """The driver for one device."""
    return HomeAssistant(_columns(), load(Path(__file__).parent).channels)


@cache
def _columns() -> Mapping[str, Column]:
    """The fields of `driver.toml`, the same for every device."""
    return {row.key: Column.of(row) for row in load(Path(__file__).parent).field}


class HomeAssistant:
    """Learns what one device publishes, and reads it."""

    def __init__(self, columns: Mapping[str, Column], words: frozenset[str]) -> None:
        """`words` are those of its channels."""
        self._columns = columns
        self._words = words
        self._learned: dict[str, list[Entity]] = {}
        """By the topic of the discovery message."""
        self._by_topic: dict[str, list[Entity]] = {}

    def decode(self, frame: Frame) -> Decoded:
        """Learn from a discovery message, or read a state by what was learned. Raises `FrameRefused`."""
        if frame.topic.endswith(_CONFIG):
            return self._learn(frame.topic, frame.payload)
        known = self._by_topic.get(frame.topic)
        if known is None:
            raise FrameRefused("not_learned", "no discovery message has said what this topic holds")
        return _read(known, frame.payload)

    def _learn(self, topic: str, payload: bytes) -> Decoded:
        found = entities(topic, parse_object(payload), self._columns, self._words) if payload.strip() else []
        fresh = [each for each in found if isinstance(each, Entity)]
        reasons = tuple(each for each in found if isinstance(each, str))
        if not fresh:  # an empty message takes the entity back
            self._learned.pop(topic, None)
            self._index()
            if reasons:
                raise FrameRefused(reasons[0], _REASONS[reasons[0]])
            return Decoded()
        if self._count - len(self._learned.get(topic, ())) + len(fresh) > MOST_ENTITIES:
            raise FrameRefused("too_many", f"more than {MOST_ENTITIES} values of one device")
        self._learned[topic] = fresh
        self._index()
        return Decoded((), reasons)

    @property
    def _count(self) -> int:
        return sum(len(known) for known in self._learned.values())

    def _index(self) -> None:
        """Say which topic holds what, with a channel for each of several that measure the same."""
        self._by_topic = {}
        taken: dict[tuple[str, str], tuple[str, object]] = {}
        for entity in (entity for known in self._learned.values() for entity in known):
            place = (entity.topic, entity.path)
            channel = entity.channel
            if taken.setdefault((entity.quantity, channel), place) != place:
                channel = words_in(entity.hint, self._words)
                if taken.setdefault((entity.quantity, channel), place) != place:
                    continue
            self._by_topic.setdefault(entity.topic, []).append(entity.on(channel))


def _read(known: list[Entity], payload: bytes) -> Decoded:
    document: Any = None
    if any(entity.path is not None for entity in known):
        document = parse_object(payload)
    found: dict[tuple[str, str], Measurement] = {}
    dropped: list[str] = []
    for entity in known:
        value = follow(document, entity.path) if entity.path is not None else _scalar(payload)
        if value is None or text(value).lower() in _NOTHING:
            continue
        number = _number(entity, value)
        if number is None:
            dropped.append(entity.quantity)
        else:
            found[entity.quantity, entity.channel] = Measurement(entity.quantity, number, entity.channel)
    return Decoded.of(found.values(), tuple(dropped))


def _number(entity: Entity, value: Any) -> float | None:
    if entity.words:
        return next((number for word, number in entity.words if word == text(value)), None)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value) * entity.factor + entity.addend
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _scalar(payload: bytes) -> str:
    """A bare value. Raises `FrameRefused` for what can be none."""
    try:
        value = payload.decode("utf-8").strip() if len(payload) <= _LONGEST_SCALAR else None
    except UnicodeDecodeError:
        value = None
    if value is None:
        raise FrameRefused("malformed", "the payload is not one value")
    return value
