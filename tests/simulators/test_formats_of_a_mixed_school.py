"""The bytes of the later devices, read by small parsers written here from the formats' documents."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import json
import os
import select
import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from simulators.asked_line import Answer, AskedLine
from simulators.devices import Devices, driver_of, stamps
from simulators.mhz19 import QUESTION
from simulators.modbus import check_sum
from simulators.scenarios import Scenario, load
from simulators.wiring import wiring
from telemetry import ScaledClock
from tests.support.waiting import until

if TYPE_CHECKING:
    from simulators.emissions import Emission


@pytest.fixture(scope="module")
def mixed_school() -> Scenario:
    return load("mixed-school")


@pytest.fixture(scope="module")
def frames(mixed_school: Scenario) -> dict[str, list[Emission]]:
    by_device = defaultdict(list)
    for emission in Devices(mixed_school, seed=3).day():
        by_device[emission.device].append(emission)
    return by_device


def test_one_seed_gives_one_day_byte_for_byte(mixed_school: Scenario) -> None:
    first, second = (list(Devices(mixed_school, seed=5).day()) for _ in range(2))
    assert first == second
    assert first != list(Devices(mixed_school, seed=6).day())


def test_every_driver_has_a_device_in_it(mixed_school: Scenario) -> None:
    assert {driver_of(model) for model in mixed_school.device} == {
        "zigbee2mqtt", "plantower", "pjlink", "vr_station", "tasmota", "home_assistant", "lorawan", "mhz19",
        "modbus_rtu",
    }  # fmt: skip


def test_a_tasmota_plug_tells_its_meter_and_its_state_in_local_time(frames: dict[str, list[Emission]]) -> None:
    by_leaf: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for emission in frames["plug-b-101"]:
        message = json.loads(emission.payload)
        by_leaf[emission.topic].append(message)
        local = dt.datetime.fromisoformat(message["Time"])
        assert local.tzinfo is None
        assert local - dt.timedelta(hours=8) == dt.datetime.fromtimestamp(message["Epoch"], dt.UTC).replace(tzinfo=None)
        assert message["Epoch"] * 1000 == emission.event_ms
    meters = [message["ENERGY"] for message in by_leaf["tele/plug-b-101/SENSOR"]]
    assert all(later["Total"] >= sooner["Total"] for sooner, later in itertools.pairwise(meters))
    for meter in meters:
        assert meter["ApparentPower"] ** 2 == pytest.approx(meter["Power"] ** 2 + meter["ReactivePower"] ** 2, rel=0.05)
    for state in by_leaf["tele/plug-b-101/STATE"]:
        assert 0 <= state["Wifi"]["RSSI"] <= 100
        assert state["Wifi"]["Signal"] < 0


def test_an_esphome_node_announces_every_topic_before_it_speaks_there(frames: dict[str, list[Emission]]) -> None:
    announced: dict[str, dict[str, Any]] = {}
    for emission in frames["esp-b-102"]:
        if emission.topic.endswith("/config"):
            assert emission.readings == ()
            document = json.loads(emission.payload)
            announced[document["stat_t"]] = document
        elif emission.topic == "esp-b-102/status":
            assert emission.payload == b"online"
        else:
            ((name, value),) = emission.readings
            assert float(emission.payload) == value
            assert announced[emission.topic]["dev_cla"] == name
    assert len(announced) == 4


@pytest.mark.parametrize("device", ["am-b-103", "am-b-104"])
def test_a_lorawan_uplink_holds_channel_type_and_value(frames: dict[str, list[Emission]], device: str) -> None:
    lengths = {
        b"\x03\x67": 2, b"\x04\x68": 1, b"\x05\x00": 1, b"\x06\xcb": 1, b"\x07\x7d": 2, b"\x08\x7d": 2, b"\x09\x73": 2
    }  # fmt: skip
    for number, emission in enumerate(frames[device]):
        event = json.loads(emission.payload)
        uplink = event.get("uplink_message", event)
        data = base64.b64decode(uplink.get("data") or uplink["frm_payload"], validate=True)
        assert (uplink.get("fPort") or uplink["f_port"]) == 85
        assert uplink.get("fCnt", uplink.get("f_cnt", 0)) == number
        assert ("fCnt" in uplink or "f_cnt" in uplink) == (number > 0)
        stamp = dt.datetime.fromisoformat(uplink.get("received_at") or event["time"])
        assert int(stamp.timestamp() * 1000) == emission.event_ms
        values: dict[bytes, bytes] = {}
        while data:
            length = 2 + lengths[data[:2]]
            values[data[:2]], data = data[2:length], data[length:]
        told = dict(emission.readings)
        assert struct.unpack("<H", values[b"\x07\x7d"])[0] == told["carbon_dioxide"]
        assert struct.unpack("<h", values[b"\x03\x67"])[0] / 10 == told["temperature"]
        assert values.keys() == lengths.keys()


def test_only_what_says_when_it_measured_is_expected_in_windows(mixed_school: Scenario) -> None:
    silent = {model.id for model in mixed_school.device if not stamps(model)}
    assert {"esp-b-102", "co2-b-104", "air-b-201", "pm-b-103", "projector-b-201"} <= silent
    assert not {"air-b-101", "plug-b-101", "am-b-103", "am-b-104", "vr-1"} & silent


def test_the_wiring_names_one_port_for_a_shared_line_and_each_address_on_it(mixed_school: Scenario) -> None:
    devices = Devices(mixed_school, seed=1)
    ports = {model.id: model.line or model.id for model in mixed_school.device}
    document = wiring(devices, ScaledClock(0, 0, 1.0), serial_ports=ports, tcp_ports=defaultdict(int), relay_port=None)
    entries = {entry["id"]: entry for entry in document["devices"]}  # type: ignore[attr-defined]
    assert [entries[name]["options"]["address"] for name in ("air-b-201", "meter-b-202")] == [11, 22]
    assert entries["air-b-201"]["serial"]["port"] == entries["meter-b-202"]["serial"]["port"] == "bus-b-2"
    assert entries["plug-b-101"]["mqtt"] == {"topic": "tele/plug-b-101/#"}
    clients = {client["id"]: client["publish"] for client in document["clients"]}  # type: ignore[attr-defined]
    assert clients["esp-b-102"] == ["esp-b-102/#"]
    assert clients["things-stack"] == ["v3/school@ttn/#"]


def asked(question: bytes, *, device: str) -> Answer | None:
    devices = Devices(load("mixed-school"), seed=4)
    return next(each for line in devices.asked.values() for each in line if each.id == device).answer(question)


def question(*fields: int) -> bytes:
    body = struct.pack(">BBHH", *fields)
    return body + check_sum(body)


def test_the_check_sum_is_that_of_the_specifications_example() -> None:
    assert check_sum(bytes.fromhex("0207")) == bytes.fromhex("4112")  # MODBUS over Serial Line V1.02, section 6.2.2


def test_a_meter_answers_with_floats_high_word_first() -> None:
    answer = asked(question(21, 4, 0, 32), device="meter-b-201")
    assert answer is not None
    content = answer.content
    assert content[:3] == bytes((21, 4, 64))
    assert check_sum(content[:-2]) == content[-2:]
    assert 225 < struct.unpack_from(">f", content, 3)[0] < 233
    told = dict(answer.readings)
    assert told["voltage"] == struct.unpack_from(">f", content, 3)[0]
    assert told.keys() == {"voltage", "current", "power", "apparent_power", "reactive_power", "power_factor"}


def test_a_question_for_another_a_broken_one_and_one_it_cannot_answer() -> None:
    assert asked(question(22, 4, 0, 32), device="meter-b-201") is None
    assert asked(question(21, 4, 0, 32)[:-1] + b"\x00", device="meter-b-201") is None
    assert asked(question(21, 3, 0, 2), device="meter-b-201") == _failed(21, 3, 1)
    assert asked(question(21, 4, 400, 2), device="meter-b-201") == _failed(21, 4, 2)
    assert asked(QUESTION[:-1] + b"\x00", device="co2-b-104") is None


def _failed(address: int, function: int, why: int) -> Answer:
    body = bytes((address, function | 0x80, why))
    return Answer(body + check_sum(body))


async def test_a_line_hands_each_question_to_its_device_and_tells_what_was_answered() -> None:
    told: list[tuple[str, int, bool]] = []
    line = AskedLine(lambda device, readings, delivered: told.append((device, readings, delivered)))
    line.devices += Devices(load("mixed-school"), seed=4).asked["co2-b-104"]
    descriptor = os.open(line.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        os.write(descriptor, QUESTION)
        await until(lambda: bool(select.select([descriptor], [], [], 0)[0]))
        answer = os.read(descriptor, 64)
    finally:
        os.close(descriptor)
        line.close()
    assert answer[:2] == b"\xff\x86"
    assert sum(answer[1:]) & 0xFF == 0
    assert told == [("co2-b-104", 2, False), ("co2-b-104", 2, True)]
