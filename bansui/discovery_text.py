"""Proposals as a technician takes them: blocks for agent.toml, with what to choose, in the reader's language."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Final

from device_drivers.field_rows import Transport as Spoken
from edge_agent.discovery.proposals import Source, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from device_drivers.registry import DriverEntry
    from edge_agent.discovery.finding import Found
    from edge_agent.discovery.proposals import Proposal

_MOST_CHOICES: Final = 12
_POWER: Final = frozenset(
    ("power", "energy", "current", "voltage", "apparent_power", "reactive_power", "power_factor", "frequency")
)
_SAFETY: Final = frozenset(("smoke", "gas", "water_leak"))
_HEALTH: Final = frozenset(("battery", "link_quality", "connectivity", "device_temperature", "battery_low", "switch"))
_SERIAL: Final = (Spoken.SERIAL_STREAM, Spoken.SERIAL_POLL)
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "found": "{count} new devices; assign a room to each, and put its block at the end of agent.toml.",
        "found.one": "One new device; assign a room to it, and put its block at the end of agent.toml.",
        "none": "Nothing new: whatever was found has its [[device]] already.",
        "check": "Then: bansui agent validate --config {config}",
        "silent": "The agent is not running: what announces itself over MQTT is not known.",
        "forgotten": "{count} more were announced than are kept.",
        "unread": "{count} announcements were too large, or too many, to be read.",
        "unasked": "The network could not be asked for projectors: {why}.",
        "room": "which room?",
        "one_of": "one of",
        "more": "… (bansui driver list)",
        Source.ZIGBEE2MQTT: "Zigbee, listed by zigbee2mqtt",
        Source.HOME_ASSISTANT: "describes itself (Home Assistant discovery)",
        Source.SPARKPLUG: "Sparkplug node that was born",
        Source.CHIRPSTACK: "LoRaWAN sensor at ChirpStack",
        Source.SERIAL: "serial port that no device uses",
        Source.PJLINK: "answers the PJLink search",
        "note.home_assistant": "its discovery messages have to come below this topic too: see the driver's README",
        "note.topic": "a topic is no place for a person's name: rename the device where it got that",
    },
    "zh": {
        "found": "发现 {count} 台新设备；请为每台指定房间，并把对应的段落放到 agent.toml 末尾。",
        "found.one": "发现 1 台新设备；请为它指定房间，并把对应的段落放到 agent.toml 末尾。",
        "none": "没有新设备：找到的都已有 [[device]]。",
        "check": "然后运行：bansui agent validate --config {config}",
        "silent": "网关没有运行：无法得知通过 MQTT 自我宣告的设备。",
        "forgotten": "另有 {count} 台宣告超出保留数量。",
        "unread": "有 {count} 条宣告过大或过多，未读取。",
        "unasked": "无法在网络上搜索投影机：{why}。",
        "room": "哪个房间？",
        "one_of": "可选",
        "more": "……（bansui driver list）",
        Source.ZIGBEE2MQTT: "Zigbee 设备，见于 zigbee2mqtt",
        Source.HOME_ASSISTANT: "自我描述（Home Assistant 自动发现）",
        Source.SPARKPLUG: "Sparkplug 节点上线",
        Source.CHIRPSTACK: "ChirpStack 上的 LoRaWAN 传感器",
        Source.SERIAL: "未被任何设备使用的串口",
        Source.PJLINK: "应答了 PJLink 搜索",
        "note.home_assistant": "它的发现消息也须发布在此主题之下：见驱动的 README",
        "note.topic": "主题里不应有人名：请在设备命名处改名",
    },
}


class Blocks:
    """Makes `[[device]]` tables of proposals, with ids that are not taken."""

    def __init__(self, drivers: Mapping[str, DriverEntry], taken: Iterable[str], room: str, language: str) -> None:
        """`taken` are ids of devices that there are; `room` is empty where a person has to choose."""
        self._drivers = drivers
        self._taken = set(taken)
        self._room = room
        self._words = _WORDS[language]

    def block(self, proposal: Proposal) -> str:
        """The table; what stays empty in it has its choices behind it."""
        driver, usual = self._driver(proposal)
        role, word = _role(proposal)
        lines = [
            "[[device]]",
            f"id = {_quoted(self._id(word))}",
            f"room = {_quoted(self._room)}" + ("" if self._room else f"  # {self._words['room']}"),
            f"role = {_quoted(role)}",
            driver,
            *self._model(proposal),
            f"cadence_s = {usual.get('cadence_s', 60)}",
        ]
        if proposal.quantities:
            lines.append(f"quantities = [{', '.join(map(_quoted, proposal.quantities))}]")
        return "\n".join([*lines, _where(proposal, usual)])

    def _driver(self, proposal: Proposal) -> tuple[str, dict[str, Any]]:
        """The line that names the driver, and what the driver's own sample says of a device."""
        choices = proposal.drivers or tuple(
            name
            for name, entry in self._drivers.items()
            if entry.found is not None and entry.found.driver.transport in _SERIAL
        )
        if len(choices) == 1:
            (usual,) = tomllib.loads(self._drivers[choices[0]].manifest.sample)["device"]
            return f"driver = {_quoted(choices[0])}", usual
        return f'driver = ""  # {self._choose(choices)}', {}

    def _model(self, proposal: Proposal) -> list[str]:
        if proposal.model:
            return [f"model = {_quoted(proposal.model)}"]
        models = self._drivers[proposal.drivers[0]].manifest.driver.models if len(proposal.drivers) == 1 else ()
        return [f'model = ""  # {self._choose(models)}'] if models else []

    def _choose(self, choices: Sequence[str]) -> str:
        listed = ", ".join(choices[:_MOST_CHOICES])
        return f"{self._words['one_of']}: {listed}" + (
            f", {self._words['more']}" if len(choices) > _MOST_CHOICES else ""
        )

    def _id(self, word: str) -> str:
        stem = f"{word}-{self._room}" if self._room else word
        number = 1
        while f"{stem[:28]}-{number}" in self._taken:
            number += 1
        self._taken.add(f"{stem[:28]}-{number}")
        return f"{stem[:28]}-{number}"


def page(found: Found, blocks: Blocks, language: str, config: str) -> str:
    """Everything found, as TOML that can be pasted: what is said besides stands in comments."""
    words, proposals = _WORDS[language], found.proposals
    head = "none" if not proposals else "found.one" if len(proposals) == 1 else "found"
    parts = ["\n".join(f"# {line}" for line in (words[head].format(count=len(proposals)), *notes(found, language)))]
    for number, proposal in enumerate(proposals, 1):
        said = [words[proposal.source], *([proposal.make] if proposal.make else [])]
        lines = [f"# {number}: {', '.join(said)}"]
        if proposal.source is Source.HOME_ASSISTANT:
            lines.append(f"# {words['note.home_assistant']}")
        if proposal.source is Source.ZIGBEE2MQTT and not proposal.address.isascii():
            lines.append(f"# {words['note.topic']}")
        parts.append("\n".join([*lines, blocks.block(proposal)]))
    if proposals:
        parts.append(f"# {words['check'].format(config=config)}")
    return "\n\n".join(parts)


def notes(found: Found, language: str) -> list[str]:
    """What a reader has to know of the list besides."""
    words = _WORDS[language]
    said = [] if found.is_running else [words["silent"]]
    if found.search_failure:
        said.append(words["unasked"].format(why=found.search_failure))
    counts = (("forgotten", found.forgotten), ("unread", found.unread))
    return said + [words[name].format(count=count) for name, count in counts if count]


def _role(proposal: Proposal) -> tuple[str, str]:
    """The likeliest role, and a word for the device's id."""
    telling = set(proposal.quantities) - _HEALTH
    if proposal.source is Source.PJLINK:
        return "display", "projector"
    if telling & _SAFETY:
        return "safety", "alarm"
    if telling and telling <= _POWER:
        return "plug", "plug"
    return "room_sensor", "sensor"


def _where(proposal: Proposal, usual: Mapping[str, Any]) -> str:
    match proposal.transport:
        case Transport.MQTT:
            return f"mqtt = {{ topic = {_quoted(proposal.address)} }}"
        case Transport.SERIAL:
            return f"serial = {{ port = {_quoted(proposal.address)}, baud = 9600 }}"
        case Transport.TCP:
            port = usual.get("tcp", {}).get("port", 4352)
            return f"tcp = {{ host = {_quoted(proposal.address)}, port = {port} }}"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's too, for text that is printable."""
    return json.dumps(text, ensure_ascii=False)
