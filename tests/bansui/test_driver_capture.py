"""`bansui driver capture`: what a device says becomes cases that replay, with nothing of a person in them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import paho.mqtt.publish
import pytest

from bansui import driver_capture
from bansui.driver_capture import BrokerSource, SerialSource, TcpSource, settings_of, source_of
from bansui.driver_scaffold import write
from device_drivers.cases import run_line
from device_drivers.conformance.masking import masked
from device_drivers.conformance.masking_behind import masked_behind
from device_drivers.conformance.suite import subject_of
from device_drivers.conformance.wire import Device, SerialEnd, TcpEnd
from device_drivers.contract import Frame, Settings
from device_drivers.modbus_tcp import Framing
from device_drivers.registry import named
from edge_agent.client_tls import ClientTls
from simulators.devices import Devices
from simulators.modbus_gateway import ModbusGateway
from simulators.scenarios import load
from telemetry import ConfigurationError, EnvironmentFault
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.mosquitto import Mosquitto

NAME = "张伟"
CARD = 4_400_123_456
MAC = "00:15:8d:00:02:aa:bb:cc"
MESSAGE = {
    "co2": 812, "air": {"temp": 68}, "motion": "yes", "owner": NAME, "badge": CARD, MAC: -61,
    "nested": [{"mac": MAC, "note": NAME}],
}  # fmt: skip


def replays(cases: list[dict[str, Any]], driver_id: str, folder: Path | None = None) -> None:
    entry = subject_of(str(folder) if folder is not None else driver_id).entry
    assert cases
    for case in cases:
        assert run_line(json.dumps(case).encode(), {entry.id: entry}).as_expected is True, case


def is_free_of_persons(cases: list[dict[str, Any]]) -> bool:
    text = json.dumps(cases, ensure_ascii=False)
    return not any(word in text for word in (NAME, str(CARD), MAC, "zhang-wei"))


@contextmanager
def published(broker: Mosquitto, topic: str, *payloads: bytes) -> Iterator[None]:
    """Publishes over and over, as a device does."""
    over = threading.Event()

    def publish() -> None:
        while not over.wait(0.1):
            messages = [{"topic": topic, "payload": payload, "qos": 1} for payload in payloads]
            paho.mqtt.publish.multiple(messages, broker.host, broker.port)  # type: ignore[arg-type] # its dicts

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.mosquitto
def test_messages_of_a_real_broker_are_kept_without_names_and_numbers(mosquitto: Mosquitto, tmp_path: Path) -> None:
    folder = write("acme_air", "mqtt-json", tmp_path)
    out = folder / "fixtures" / "captured.jsonl"
    payloads = [json.dumps(MESSAGE | {"co2": co2}, ensure_ascii=False).encode() for co2 in (812, 640)]
    with published(mosquitto, "school/zhang-wei/air", *payloads, b'{"co2": 1, "user": "x"}'):
        done = run_bansui(
            "driver", "capture", str(folder), "--out", str(out), "--broker", f"127.0.0.1:{mosquitto.port}",
            "--topic", "school/#", "--frames", "2", "--seconds", "20", "--json",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cases"] == 2
    cases = [json.loads(line) for line in out.read_text().splitlines()]
    assert is_free_of_persons(cases)
    assert {case["expect"]["readings"]["carbon_dioxide"] for case in cases} == {812, 640}
    assert all(case["expect"]["readings"]["motion"] is True for case in cases)
    replays(cases, "acme_air", folder)
    assert run_bansui("driver", "decode", "--cases", str(out)).returncode == 0
    assert run_bansui("driver", "test", str(folder)).returncode == 0


async def test_frames_of_a_port_that_streams_are_kept_as_they_are(tmp_path: Path) -> None:
    frames = [bytes.fromhex(text) for text in ("aac0d4043a0aa1601dab", "aac01e002d00a1604cab")]
    entry = subject_of(str(write("acme_dust", "serial-stream", tmp_path))).entry
    end = SerialEnd()

    async def speak() -> None:
        while True:
            end.send(b"".join(frames))
            await asyncio.sleep(0.02)

    speaking = asyncio.create_task(speak())
    found = await driver_capture.record(entry, Settings(), SerialSource(end.port, 9600), frames=2, seconds=20)
    speaking.cancel()
    end.hang_up()
    assert [case["bytes_hex"] for case in found.cases] == [frame.hex() for frame in frames]
    replays(found.cases, "acme_dust", tmp_path / "acme_dust")


async def test_a_device_that_is_asked_over_a_serial_line_is_asked_as_its_driver_asks() -> None:
    subject = subject_of("pzem")
    conversation = await asyncio.to_thread(lambda: subject.conversation)
    end = SerialEnd()
    end.serve(Device(conversation))
    settings = settings_of(subject.entry, "", ["address=1"], "")
    found = await driver_capture.record(subject.entry, settings, SerialSource(end.port, 9600), frames=1, seconds=20)
    end.hang_up()
    assert found.cases[0]["unit_id"] == 1
    assert len(found.cases[0]["expect"]["readings"]) == 7
    replays(found.cases, "pzem")


@pytest.mark.parametrize("framing", list(Framing))
async def test_a_meter_behind_a_tcp_address_is_kept_as_over_a_serial_line(framing: Framing) -> None:
    """With its check sum, whatever carried it."""
    gateway = ModbusGateway(framing.value, Devices(load("other-formats"), seed=3).asked["pzem"], lambda *_: None)
    await gateway.open()
    entry = subject_of("pzem").entry
    settings = settings_of(entry, "", ["address=1"], "")
    stated = {"serial": "", "broker": "", "password": "", "tls": None, "tcp": f"[127.0.0.1]:{gateway.port}"}
    source = source_of({**stated, "framing": "" if framing is Framing.MODBUS_TCP else framing.value}, entry)
    found = await driver_capture.record(entry, settings, source, frames=1, seconds=20)
    await gateway.close()
    assert bytes.fromhex(found.cases[0]["bytes_hex"])[:3] == bytes((1, 4, 20))
    assert len(found.cases[0]["expect"]["readings"]) == 7
    replays(found.cases, "pzem")


async def test_a_projector_over_tcp_is_kept_with_its_questions_and_its_greeting_and_without_its_name() -> None:
    subject = subject_of("pjlink")
    conversation = await asyncio.to_thread(lambda: subject.conversation)
    server = await asyncio.get_running_loop().create_server(lambda: TcpEnd(Device(conversation)), "127.0.0.1", 0)
    source = TcpSource("127.0.0.1", server.sockets[0].getsockname()[1])
    found = await driver_capture.record(subject.entry, Settings(), source, frames=50, seconds=1)
    server.close()
    asked = {case["payload"].get("request") for case in found.cases}
    assert {"%1POWR ?\r", "%1LAMP ?\r", None} <= asked
    replays(found.cases, "pjlink")


async def test_no_more_frames_are_kept_than_asked_for_and_each_has_an_id_of_its_own(tmp_path: Path) -> None:
    """Though one round of questions brings more, and the file holds those of an earlier time."""
    subject, out = subject_of("pjlink"), tmp_path / "captured.jsonl"
    conversation = await asyncio.to_thread(lambda: subject.conversation)
    server = await asyncio.get_running_loop().create_server(lambda: TcpEnd(Device(conversation)), "127.0.0.1", 0)
    where = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    call = ("driver", "capture", "pjlink", "--out", str(out), "--tcp", where, "--frames", "2")
    for _ in range(2):
        done = await asyncio.to_thread(run_bansui, *call)
        assert done.returncode == 0, done.stderr
    server.close()
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == [f"captured-{n}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("stated", "what"),
    [
        ({}, "exactly one"),
        ({"serial": "/dev/x", "tcp": "a:1"}, "exactly one"),
        ({"tcp": "somewhere"}, "HOST:PORT"),
        ({"tcp": "a:1", "framing": "rtu-over-tcp"}, "speaks no Modbus"),
        ({"broker": "a:1883"}, "--topic"),
        ({"tcp": "a:1", "tls": ClientTls()}, "--ca-file is for a broker"),
    ],
)
def test_a_place_that_is_not_stated_well_is_a_mistake_of_the_caller(stated: dict[str, object], what: str) -> None:
    empty = dict.fromkeys(("serial", "tcp", "broker", "topic", "framing", "username", "password"), "")
    nothing = empty | {"baud": 9600, "tls": None}
    with pytest.raises(ConfigurationError) as error:
        source_of(nothing | stated, named("pjlink"))
    assert what in str(error.value) + error.value.fix


async def test_silence_and_a_port_that_is_not_there_are_said_and_nothing_is_written(tmp_path: Path) -> None:
    entry = subject_of(str(write("acme_dust", "serial-stream", tmp_path))).entry
    end = SerialEnd()
    with pytest.raises(EnvironmentFault, match=r"nothing came in 0\.3 s"):
        await driver_capture.record(entry, Settings(), SerialSource(end.port, 9600), frames=1, seconds=0.3)
    end.hang_up()
    with pytest.raises(EnvironmentFault, match="cannot be opened"):
        await driver_capture.record(entry, Settings(), SerialSource(str(tmp_path / "tty"), 9600), frames=1, seconds=5)


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A port that answers each connection's first bytes with the next of these, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                line, _ = server.accept()
                with line:
                    line.recv(4096)
                    line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()


REFUSED = bytes.fromhex("20 03 00 87 00")


@pytest.mark.parametrize(
    ("answers", "what"),
    [((REFUSED, REFUSED), "not authorized"), ((b"", b""), "the connection ended")],
)
async def test_a_broker_that_lets_nobody_listen_is_said_at_once(answers: tuple[bytes, ...], what: str) -> None:
    with answering(*answers) as port:
        source = BrokerSource("127.0.0.1", port, "acme/co2-a-301")
        with pytest.raises(EnvironmentFault, match=what) as error:
            await driver_capture.record(named("airgradient"), Settings(), source, frames=1, seconds=3600)
    assert error.value.where == f"127.0.0.1:{port}"


async def test_a_broker_or_a_device_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    where = f"127.0.0.1:{port}"
    done = run_bansui(
        "driver", "capture", "airgradient", "--out", str(tmp_path / "x"), "--broker", where, "--topic", "a/b"
    )
    assert done.returncode == 3
    assert "the broker cannot be listened to: Connection refused" in done.stderr
    assert where in done.stderr
    with pytest.raises(EnvironmentFault, match="the device cannot be reached: Connection refused"):
        await driver_capture.record(named("pjlink"), Settings(), TcpSource("127.0.0.1", port), frames=1, seconds=3600)


DISCOVERY = {
    "name": NAME, "state_topic": "flat/zhang-wei/air/state", "value_template": "{{ value_json.co2 }}",
    "device_class": "carbon_dioxide", "unit_of_measurement": "ppm", "unique_id": MAC,
    "device": {"name": NAME, "identifiers": [MAC], "suggested_area": "zhang-wei"},
}  # fmt: skip


@pytest.mark.mosquitto
def test_a_device_that_is_read_by_what_it_said_before_is_kept_with_that_masked_together(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """By Home Assistant's discovery: the name in the topics of values and in the payload of the discovery is one."""
    out = tmp_path / "captured.jsonl"
    config = json.dumps(DISCOVERY).encode()
    server = (mosquitto.host, mosquitto.port)
    paho.mqtt.publish.single("homeassistant/sensor/zhang-wei/co2/config", config, 1, True, *server)
    paho.mqtt.publish.single("homeassistant/sensor/zhang-wei/t/config", b"{}", 1, True, *server)
    payloads = [json.dumps({"co2": co2, "owner": NAME}).encode() for co2 in (812, 640)]
    with published(mosquitto, "flat/zhang-wei/air/state", *payloads):
        done = run_bansui(
            "driver", "capture", "home_assistant", "--out", str(out), "--broker", f"127.0.0.1:{mosquitto.port}",
            "--topic", "#", "--frames", "2", "--seconds", "20", "--json",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in out.read_text().splitlines()]
    assert {case["expect"]["readings"]["carbon_dioxide"] for case in cases} == {812, 640}
    assert [len(case["before"]) for case in cases] == [1, 1], "what is not needed is left out"
    assert is_free_of_persons(cases)
    replays(cases, "home_assistant")


@pytest.mark.parametrize("driver_id", ["sparkplug_b", "homie", "home_assistant"])
def test_what_a_learning_driver_was_told_is_masked_and_says_the_same(driver_id: str) -> None:
    """Every recorded case of its own, behind messages that it does not need."""
    subject = subject_of(driver_id)
    tried = 0
    for each in [recording for recording in subject.recordings if recording.before]:
        create = partial(each.entry.create, each.settings)
        fit = masked_behind(create, each.before, each.frame)
        if fit is None:
            continue
        before, frame = fit
        driver = create()
        for message in before:
            driver.decode(message)
        assert driver.decode(frame).measurements == each.driver().decode(each.frame).measurements
        tried += 1
    assert tried


def test_a_sparkplug_nodes_name_is_masked_in_its_birth_and_in_its_data() -> None:
    """As long as it was: lengths stand in front of what they tell of."""
    entry, topic = named("sparkplug_b"), "spBv1.0/zhang-wei-s/{}/zhang-wei"
    head = b"\x12\x24\x0a\x15zhang-wei/Temperature\x10\x01\x20\x0a\x69"
    birth = head + struct.pack("<d", 20.5) + b"\x18\x00"
    data = b"\x12\x0b\x10\x01\x69" + struct.pack("<d", 21.5) + b"\x18\x01"
    frames = [Frame(birth, topic.format("NBIRTH")), Frame(data, topic.format("NDATA"))]
    fit = masked_behind(lambda: entry.create(Settings()), frames[:1], frames[1])
    assert fit is not None
    before, frame = fit
    assert [len(each.payload) for each in before] == [len(birth)]
    assert b"zhang" not in before[0].payload + before[0].topic.encode() + frame.topic.encode()
    driver = entry.create(Settings())
    driver.decode(before[0])
    assert [measured.value for measured in driver.decode(frame).measurements] == [21.5]


def test_what_is_refused_as_personal_is_not_kept_at_all() -> None:
    driver = named("vr_station").create(Settings())
    assert masked(driver, Frame(json.dumps({"user": NAME}).encode(), topic="bansui/vr/x")) is None


def test_bytes_that_no_field_reads_are_zero() -> None:
    driver = named("elsys").create(Settings())
    payload = bytes.fromhex("0100e2022901030127") + b"\x7f" + os.urandom(8)
    kept = masked(driver, Frame(payload))
    assert kept is not None
    assert driver.decode(kept).measurements == driver.decode(Frame(payload)).measurements
