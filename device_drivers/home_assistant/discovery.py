"""Discovery messages: what a device says of its own topics, made into entities that can be read.

Source: home-assistant.io/docs, "MQTT", "MQTT Discovery": single component and device messages, base topic `~`,
availability, and the table of abbreviations.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from device_drivers.home_assistant.templates import TemplateUnread, parse
from device_drivers.units import known_conversion
from telemetry import quantity as entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from device_drivers.home_assistant.templates import Path
    from device_drivers.json_table import Column

_ABBREVIATIONS: Final = {
    "avty": "availability", "avty_t": "availability_topic", "avty_tpl": "availability_template", "cmps": "components",
    "dev": "device", "dev_cla": "device_class", "ent_cat": "entity_category", "p": "platform",
    "pl_avail": "payload_available", "pl_not_avail": "payload_not_available", "pl_off": "payload_off",
    "pl_on": "payload_on", "stat_off": "state_off", "stat_on": "state_on", "stat_t": "state_topic", "t": "topic",
    "unit_of_meas": "unit_of_measurement", "val_tpl": "value_template",
}  # fmt: skip
_SHARED: Final = ("~", "state_topic", "availability", "availability_topic", "availability_template",
                  "payload_available", "payload_not_available")  # fmt: skip
"""Options of a device message that stand for all its components."""
_COMPONENTS: Final = ("sensor", "binary_sensor", "switch")
_LONGEST_TOPIC: Final = 256
_NUMBERED: Final = re.compile(r"(?:.*\D)?(\d{1,2})")
_OWN_NUMBER: Final = re.compile(r"(?:.*[^a-z])?(?:pm_?\d{1,2}(?:_\d)?|e?co2|no2|so2|o3)")
"""Names that end in a number which says what is measured, and not which of several it is."""


class EntityUnread(ValueError):
    """An entity that cannot be read; its argument is the reason, in one word."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One value of a device: where it is published, where it stands there, and what it means."""

    topic: str
    path: Path
    quantity: str
    channel: str = ""
    factor: float = 1.0
    addend: float = 0.0
    words: tuple[tuple[str, float], ...] = ()
    """What a flag's words stand for; empty for a number."""
    hint: str = ""
    """Its own name, to tell it from another entity that measures the same."""

    def on(self, channel: str) -> Entity:
        """The same, told on another channel."""
        return self if channel == self.channel else replace(self, channel=channel)


def entities(
    topic: str, document: Mapping[str, Any], columns: Mapping[str, Column], words: AbstractSet[str] = frozenset()
) -> list[Entity | str]:
    """Each entity of a discovery message, or the reason why one cannot be read; `words` are known ends of names."""
    whole = _expanded(document)
    *path, object_id, _ = topic.split("/")
    parts = whole.get("components")
    if not isinstance(parts, dict):
        component = next((part for part in path if part in _COMPONENTS), "")
        return list(_attempt(object_id, component, whole, columns, words))
    shared = {key: whole[key] for key in _SHARED if key in whole}
    found: list[Entity | str] = []
    for name, part in parts.items():
        if isinstance(part, dict):
            settings = shared | _expanded(part)
            found += _attempt(name, str(settings.get("platform", "")), settings, columns, words)
    return _unnumbered(found)


def _unnumbered(found: list[Entity | str]) -> list[Entity | str]:
    """The same, without the numbers of those that alone measure something: a whole device tells all it has at once."""
    told = Counter(each.quantity for each in found if isinstance(each, Entity))
    return [
        each.on("") if isinstance(each, Entity) and told[each.quantity] == 1 and each.channel.isdecimal() else each
        for each in found
    ]


def _attempt(
    name: str, component: str, settings: Mapping[str, Any], columns: Mapping[str, Column], words: AbstractSet[str]
) -> Iterator[Entity | str]:
    try:
        yield _entity(name, component, settings, columns, words)
        yield from _availability(settings)
    except EntityUnread as error:
        yield str(error)
    except TemplateUnread:
        yield "template"


def _entity(
    name: str, component: str, settings: Mapping[str, Any], columns: Mapping[str, Column], words: AbstractSet[str]
) -> Entity:
    device_class = settings.get("device_class")
    column = columns.get(component if component == "switch" else f"{component}.{device_class}")
    if column is None:
        raise EntityUnread("device_class" if component in _COMPONENTS else "component")
    path = _template(settings)
    topic, hint = _topic(settings, "state_topic"), name
    channel = column.channel or _number_of(name.lower(), words)
    if component != "sensor":
        meanings = column.words or {}
        meant = tuple((_word(component, settings, state), meanings[state]) for state in ("on", "off"))
        return Entity(topic, path, column.quantity, channel, words=meant, hint=hint)
    quantity = column.quantity
    if quantity == "temperature" and settings.get("entity_category") == "diagnostic":
        quantity = "device_temperature"
    converted = known_conversion(str(settings.get("unit_of_measurement") or ""), entry_of(quantity).unit)
    if converted is None:
        raise EntityUnread("unit")
    return Entity(topic, path, quantity, channel, *converted, hint=hint)


def _number_of(name: str, words: AbstractSet[str]) -> str:
    """Which of several that measure the same it is by its name, if its name says so."""
    number = _NUMBERED.fullmatch(name)
    if number is None or _OWN_NUMBER.fullmatch(name) or re.split(r"[^a-z0-9]", name)[-1] in words:
        return ""
    return number[1]


def _availability(settings: Mapping[str, Any]) -> Iterator[Entity]:
    """Where the device says whether it is there; of several such topics, each of them."""
    listed = settings.get("availability")
    listed = [listed] if isinstance(listed, dict) else listed
    tables = [_expanded(entry) for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if "availability_topic" in settings:
        renamed = {"topic": settings["availability_topic"], "value_template": settings.get("availability_template")}
        tables.append({**settings, **renamed})
    for table in tables:
        words = (
            (text(table.get("payload_available", "online")), 1.0),
            (text(table.get("payload_not_available", "offline")), 0.0),
        )
        topic = _topic({"topic": table.get("topic"), "~": settings.get("~")}, "topic")
        yield Entity(topic, _template(table), "connectivity", words=words)


def _expanded(table: Mapping[str, Any]) -> dict[str, Any]:
    return {_ABBREVIATIONS.get(key, key): value for key, value in table.items()}


def _topic(settings: Mapping[str, Any], key: str) -> str:
    """A topic in full: `~` at its beginning or end stands for the base topic."""
    topic, base = settings.get(key), settings.get("~")
    if not isinstance(topic, str) or not topic:
        raise EntityUnread("topic")
    if isinstance(base, str):
        topic = base + topic[1:] if topic.startswith("~") else topic
        topic = topic[:-1] + base if topic.endswith("~") else topic
    if len(topic) > _LONGEST_TOPIC:
        raise EntityUnread("topic")
    return topic


def _template(settings: Mapping[str, Any]) -> Path:
    template = settings.get("value_template")
    if template in (None, ""):
        return None
    if not isinstance(template, str):
        raise TemplateUnread
    return parse(template)


def _word(component: str, settings: Mapping[str, Any], state: str) -> str:
    """What is published for on or off."""
    usual = settings.get(f"payload_{state}", state.upper())
    return text(settings.get(f"state_{state}", usual) if component == "switch" else usual)


def text(value: object) -> str:
    """A value as a template prints it."""
    return value if isinstance(value, str) else str(value)
