"""Reads what announces devices over MQTT: topics, makers and models, quantities, and nothing else of it.

Sources: zigbee2mqtt.io, "MQTT Topics and Messages" (`bridge/devices`) and "Exposes"; home-assistant.io/docs, "MQTT"
(discovery); Eclipse Sparkplug 3.0.0, section 4.1 (topics); chirpstack.io/docs, "Event types" (`join`, `up`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from device_drivers.contract import FrameRefused
from device_drivers.home_assistant.discovery import Entity, entities
from device_drivers.json_table import Column, parse, parse_object
from device_drivers.registry import discover
from edge_agent.discovery.proposals import Proposal, Source, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from device_drivers.contract import Frame

_LONGEST_TOPIC: Final = 256
_MOST_DEVICES: Final = 256
_MOST_EXPOSES: Final = 256
_BRIDGE: Final = "/bridge/devices"
_CONFIG: Final = "/config"
_BIRTH: Final = re.compile(r"(spBv1\.0/[^/]+)/(?:NBIRTH|DBIRTH)/([^/]+)(?:/[^/]+)?")
_EVENT: Final = re.compile(r"(application/[^/]+/device/[0-9a-fA-F]{16}/event)/(?:join|up)")
_COMPONENT: Final = re.compile(r"/(?:sensor|binary_sensor|switch)/")
_MAKE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/+()-]{0,39}")
_ORIGINS_WITH_A_DRIVER: Final = frozenset(("zigbee2mqtt", "tasmota"))
"""Programs whose devices have drivers of their own, by which they are read better."""


def is_announcement(topic: str) -> bool:
    """Whether a topic is one that announcements have."""
    return topic.endswith((_BRIDGE, _CONFIG)) or topic.startswith(("spBv1.0/", "application/"))


def announced(frame: Frame) -> Iterator[Proposal]:
    """What a message proposes; nothing of one that is no announcement, or is none of its format."""
    read = _reader(frame.topic)
    if read is None:
        return
    try:
        for proposal in read(frame):
            if proposal.address.isprintable() and len(proposal.address) <= _LONGEST_TOPIC:
                yield proposal
    except FrameRefused:
        return


def _has_wildcard(name: str) -> bool:
    return "+" in name or "#" in name


def _reader(topic: str) -> Callable[[Frame], Iterable[Proposal]] | None:
    if topic.endswith(_BRIDGE):
        return _bridge
    if topic.endswith(_CONFIG):
        return _home_assistant
    if _BIRTH.fullmatch(topic):
        return _sparkplug
    return _chirpstack if _EVENT.fullmatch(topic) else None


def _bridge(frame: Frame) -> Iterator[Proposal]:
    """The devices behind one zigbee2mqtt, but its coordinator, and those it does not know yet or was told to leave."""
    base, listed = frame.topic.removesuffix(_BRIDGE), parse(frame.payload)
    for device in (listed if isinstance(listed, list) else [])[:_MOST_DEVICES]:
        if not isinstance(device, dict) or device.get("type") == "Coordinator" or device.get("disabled"):
            continue
        name, definition = device.get("friendly_name"), device.get("definition")
        if not isinstance(name, str) or not name or _has_wildcard(name) or not isinstance(definition, dict):
            continue
        yield Proposal(
            Source.ZIGBEE2MQTT,
            Transport.MQTT,
            f"{base}/{name}",
            ("zigbee2mqtt",),
            make=_make(definition.get("vendor"), definition.get("model")),
            quantities=_exposed(definition.get("exposes")),
        )


def _exposed(exposes: object) -> tuple[str, ...]:
    """The quantities of a device's `exposes`, of which some hold others in `features`."""
    known = {row.key: row.quantity for row in discover()["zigbee2mqtt"].manifest.field}
    found: dict[str, None] = {}
    unseen = [exposes]
    for _ in range(_MOST_EXPOSES):
        if not unseen:
            break
        part = unseen.pop(0)
        if isinstance(part, list):
            unseen += part[:_MOST_EXPOSES]
        elif isinstance(part, dict):
            unseen.append(part.get("features"))
            quantity = known.get(str(part.get("property")))
            if quantity is not None:
                found[quantity] = None
    return tuple(found)


def _home_assistant(frame: Frame) -> Iterator[Proposal]:
    """A device that describes itself: everything that it publishes below one topic."""
    if not frame.payload.strip():
        return
    document = parse_object(frame.payload)
    origin = _below(document, "origin", "o").get("name")
    if isinstance(origin, str) and origin.casefold() in _ORIGINS_WITH_A_DRIVER:
        return
    device = _below(document, "device", "dev")
    make = _make(device.get("manufacturer", device.get("mf")), device.get("model", device.get("mdl")))
    for entity in entities(frame.topic, document, _columns()):
        if isinstance(entity, Entity):
            at = _COMPONENT.search(entity.topic)
            base = entity.topic[: at.start()] if at else entity.topic.rpartition("/")[0]
            if base and not _has_wildcard(base):
                quantities = (entity.quantity,)
                address = f"{base}/#"
                yield Proposal(
                    Source.HOME_ASSISTANT, Transport.MQTT, address, ("home_assistant",), "", make, quantities
                )


@cache
def _columns() -> Mapping[str, Column]:
    return {row.key: Column.of(row) for row in discover()["home_assistant"].manifest.field}


def _sparkplug(frame: Frame) -> Iterator[Proposal]:
    """The node that was born, whole; its payload is not read."""
    match = _BIRTH.fullmatch(frame.topic)
    if match is not None:
        yield Proposal(Source.SPARKPLUG, Transport.MQTT, f"{match[1]}/+/{match[2]}/#", ("sparkplug_b",))


def _chirpstack(frame: Frame) -> Iterator[Proposal]:
    """A LoRaWAN sensor, and what its profile is called."""
    match = _EVENT.fullmatch(frame.topic)
    profile = _below(parse_object(frame.payload), "deviceInfo").get("deviceProfileName")
    if match is None:
        return
    yield Proposal(Source.CHIRPSTACK, Transport.MQTT, f"{match[1]}/#", make=_make(profile))


def _below(document: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The table under the first of these keys that has one."""
    return next((document[key] for key in keys if isinstance(document.get(key), dict)), {})


def _make(*parts: object) -> str:
    """Maker and model in one line; a part that is more than a plain name is left out."""
    return " ".join(part for part in parts if isinstance(part, str) and _MAKE.fullmatch(part))
