"""What announces devices over MQTT, in the shapes that their documents give, well and ill."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from device_drivers.contract import Frame
from edge_agent.discovery.announcements import announced, is_announcement
from edge_agent.discovery.proposals import LARGEST, MOST, Proposal, Proposals, Source, Transport

BRIDGE: Final[list[dict[str, Any]]] = [
    {"ieee_address": "0x00124b00120144ae", "type": "Coordinator", "friendly_name": "Coordinator", "definition": None},
    {
        "ieee_address": "0x0017880104e45522",
        "type": "EndDevice",
        "friendly_name": "air-a-301",
        "interview_completed": True,
        "definition": {
            "model": "VOCKQJK11LM",
            "vendor": "Aqara",
            "exposes": [
                {"type": "numeric", "property": "temperature", "unit": "°C"},
                {"type": "numeric", "property": "voc", "unit": "ppb"},
                {"type": "light", "features": [{"type": "binary", "property": "state"}]},
                {"type": "composite", "features": [{"type": "numeric", "property": "humidity"}]},
                {"type": "enum", "property": "mood"},
            ],
        },
    },
    {"friendly_name": "away", "type": "EndDevice", "disabled": True, "definition": {"exposes": []}},
    {"friendly_name": "not known yet", "type": "EndDevice", "definition": None},
]
DISCOVERY: Final = {
    "name": "CO2",
    "uniq_id": "esp-co2",
    "dev_cla": "carbon_dioxide",
    "unit_of_meas": "ppm",
    "stat_t": "esp-a-304/sensor/co2/state",
    "dev": {"ids": "a1", "name": "Zhang Wei's sensor", "mf": "Espressif", "mdl": "esp32dev"},
}
JOIN: Final = {
    "deduplicationId": "3ac7e3c4",
    "deviceInfo": {
        "deviceName": "Zhang Wei's sensor",
        "deviceProfileName": "Milesight AM307",
        "devEui": "24e124725c140000",
        "tags": {"owner": "Zhang Wei"},
    },
    "devAddr": "01020304",
}


def read(topic: str, document: object) -> list[Proposal]:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return list(announced(Frame(payload, topic)))


def test_what_zigbee2mqtt_lists() -> None:
    """Each device that it knows, with the topic, maker and quantities; not the coordinator, none that is disabled."""
    (found,) = read("zigbee2mqtt/bridge/devices", BRIDGE)
    assert (found.source, found.transport, found.drivers) == (Source.ZIGBEE2MQTT, Transport.MQTT, ("zigbee2mqtt",))
    assert (found.address, found.make) == ("zigbee2mqtt/air-a-301", "Aqara VOCKQJK11LM")
    assert found.quantities[0] == "temperature"
    assert {"humidity", "volatile_organic_compounds"} <= set(found.quantities)


def test_what_describes_itself() -> None:
    """A node is proposed whole, below the topic of its own; what has a better driver is left to that."""
    (found,) = read("homeassistant/sensor/esp/co2/config", DISCOVERY)
    assert (found.address, found.quantities) == ("esp-a-304/#", ("carbon_dioxide",))
    assert found.make == "Espressif esp32dev"
    assert read("homeassistant/sensor/x/config", {**DISCOVERY, "origin": {"name": "Zigbee2MQTT"}}) == []
    assert read("homeassistant/sensor/x/config", b"") == []


def test_what_is_born() -> None:
    """A node and its devices are one proposal; data propose nothing."""
    node, device = read("spBv1.0/school/NBIRTH/plc", b"\x08\x01"), read("spBv1.0/school/DBIRTH/plc/probe", b"")
    assert [each.address for each in (*node, *device)] == ["spBv1.0/school/+/plc/#"] * 2
    assert read("spBv1.0/school/NDATA/plc", b"") == []


@pytest.mark.parametrize("event", ["join", "up"])
def test_what_joins(event: str) -> None:
    """The topic of a LoRaWAN sensor's events, and what its profile is called; no name that somebody gave it."""
    (found,) = read(f"application/1/device/24e124725c140000/event/{event}", JOIN)
    assert (found.address, found.make) == ("application/1/device/24e124725c140000/event/#", "Milesight AM307")
    assert "Zhang" not in repr(found)
    assert read("application/1/device/24e124725c140000/event/ack", JOIN) == []


GARBAGE: Final[list[object]] = [
    b"", b"\xff\xfe", b"{", b"[1,2", [], {}, None, 7, [None], [[]], [{"friendly_name": 7}], [{"friendly_name": ""}],
    [{"friendly_name": "a\nb", "definition": {}}], [{"friendly_name": "a+b", "definition": {}}],
    [{"friendly_name": "a/#", "definition": {}}], [{"friendly_name": "x" * 300, "definition": {}}],
    [{"friendly_name": "a\x1b[2J", "definition": {"exposes": 7}}],
    {"dev_cla": "carbon_dioxide"}, {"stat_t": 7, "dev_cla": "temperature"}, {"deviceInfo": []},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(GARBAGE)))
@pytest.mark.parametrize(
    "topic", ["z/bridge/devices", "ha/sensor/x/config", "/config", "application/1/device/24e124725c140000/event/up"]
)
def test_garbage_proposes_nothing_that_could_not_be_placed(topic: str, number: int) -> None:
    """Neither is anything raised, nor does a topic with a wildcard or a control character in it come out."""
    for found in read(topic, GARBAGE[number]):
        assert topic.startswith("application")
        assert found.make == ""


def test_a_maker_is_a_plain_name() -> None:
    """Text of any other kind is left out."""
    device = {"friendly_name": "x", "definition": {"vendor": "张伟\x1b[2J", "model": "m" * 60, "exposes": "x"}}
    assert read("z/bridge/devices", [device])[0].make == ""


def test_exposes_without_end() -> None:
    """Nested as deep and as wide as a message can be: a bounded look."""
    deep: Any = {"property": "temperature"}
    for _ in range(200):
        deep = {"features": [deep, {}]}
    wide: Any = [{"features": [{}] * 100}] * 1000
    for exposes in (deep, wide):
        read("z/bridge/devices", [{"friendly_name": "x", "definition": {"exposes": exposes}}])


def flood(proposals: Proposals, count: int, at_ms: int = 0, size: int = 0) -> None:
    for number in range(count):
        body = json.dumps([{"friendly_name": f"d{number}", "definition": {"pad": "x" * size}}]).encode()
        proposals.notice(Frame(body, "z/bridge/devices"), at_ms)


def test_a_flood_is_bounded_and_what_is_heard_again_stays() -> None:
    """The device heard of longest ago goes first; how many went is counted."""
    proposals = Proposals(announced, is_announcement)
    flood(proposals, MOST)
    flood(proposals, 1)
    flood(proposals, MOST + 10)
    kept = [each.address for each in proposals.unplaced(lambda _topic: "")]
    assert len(kept) == MOST
    assert kept[-1] == f"z/d{MOST + 9}"
    assert proposals.forgotten == 10


def test_no_more_is_read_than_a_box_can_spare() -> None:
    """Beyond so many bytes a second announcements pass unread; later ones are read again."""
    proposals = Proposals(announced, is_announcement)
    flood(proposals, 20, size=1 << 19)
    assert 0 < proposals.unread < 20
    unread = proposals.unread
    flood(proposals, 1, at_ms=60_000, size=1 << 19)
    assert proposals.unread == unread
    proposals.notice(Frame(b" " * (LARGEST + 1), "z/bridge/devices"), 120_000)
    assert proposals.unread == unread + 1


def test_what_is_placed_is_proposed_no_more() -> None:
    proposals = Proposals(announced, is_announcement)
    proposals.notice(Frame(json.dumps(BRIDGE).encode(), "zigbee2mqtt/bridge/devices"), 0)
    proposals.notice(Frame(json.dumps(DISCOVERY).encode(), "homeassistant/sensor/esp/co2/config"), 0)
    humid = DISCOVERY | {"dev_cla": "humidity", "unit_of_meas": "%", "stat_t": "esp-a-304/sensor/h/state"}
    proposals.notice(Frame(json.dumps(humid).encode(), "homeassistant/sensor/esp/h/config"), 0)
    assert [each.quantities for each in proposals.unplaced(lambda _topic: "")][1] == ("carbon_dioxide", "humidity")
    placed = {"zigbee2mqtt/air-a-301": "air", "esp-a-304": "esp"}
    assert proposals.unplaced(lambda topic: placed.get(topic, "")) == []
