"""Every way in which something personal could come into an agent, and a value sent through each of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import pty
import sys
import tty
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tests.broker.device import DISCONNECT, Device, connect, packet, publish, subscribe, text
from tests.edge_agent.servers import serving
from tests.privacy.vendor import DEEDS
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

LOGIN: Final = "bridge"
_AT_ONCE: Final = 400
"""Messages under way: each waits for its commit."""
_CONNECTIONS: Final = 50
"""Open at once."""
_USERS: Final = 40
"""A login that nobody has costs the listener a key derivation on purpose: so many are tried, and no more."""
_PUBACK, _PUBREC, _CONNACK = 0x40, 0x50, 0x20
_LONGEST_ANSWER: Final = 3_500
"""Bytes; a device may say 4 KiB at once."""
_LAST_SEEN: Final = 1_760_317_200_000


def publications(value: str) -> Iterator[tuple[str, bytes]]:
    """Topic levels, keys, values and bare payloads, as each kind of device would send them."""
    word, level = _json(value), value.replace("+", "-").replace("#", "-")
    yield level, b"{}"
    yield f"zigbee2mqtt/{level}", b'{"temperature":21}'
    yield f"zigbee2mqtt/co2/{level}", value.encode()
    yield "zigbee2mqtt/co2", b'{"temperature":21.5,%b:1,"co2":{%b:2}}' % (word, word)
    yield "zigbee2mqtt/co2", b'{"temperature":21.5,"action":%b,"last_seen":%b,"name":[{"a":%b}]}' % (word, word, word)
    yield "zigbee2mqtt/co2", b'{"temperature":%b,"state":%b,"device":{"friendlyName":%b}}' % (word, word, word)
    yield "zigbee2mqtt/co2", value.encode("gb18030")
    yield "zigbee2mqtt/co2", value.encode("utf-16")
    yield "zigbee2mqtt/co2/temperature", value.encode()
    yield "zigbee2mqtt/co2/availability", value.encode()
    yield "tele/plug/SENSOR", _tasmota(value)
    yield "tele/plug/LWT", value.encode()
    yield "tele/plug/RESULT", b'{"POWER":%b,"Command":%b}' % (word, word)
    yield "esp/room/config", _discovery(value, level)
    yield f"esp/{level}/state", b"21.5"
    yield f"esp/{level}/second", b"22.5"
    yield "application/1/device/2/event/up", _lorawan(value)
    yield "zigbee2mqtt/bridge/devices", _bridge(value)
    yield f"homeassistant/sensor/{level}/x/config", _discovery(value, level)
    yield f"spBv1.0/{level.replace('/', '-')}/NBIRTH/{level.replace('/', '-')}", value.encode()
    yield "application/1/device/24e124725c140000/event/join", _lorawan(value)
    for deed in DEEDS:
        yield f"careless/{deed}", value.encode()


def _json(value: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _document(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _tasmota(value: str) -> bytes:
    return _document(
        {
            "Time": value,
            value: {"Temperature": 20.5, "Humidity": 40},
            "AM2301": {"Temperature": 21},
            f"AM2301-{value}": {"Temperature": 21.5},
            f"DS18B20-{value}": {"Id": value, "Temperature": 22},
            "ENERGY": {"Power": {value: 5, "1": 6}, "TotalStartTime": value},
            "Wifi": {"SSId": value, "BSSId": value, "RSSI": 80},
        }
    )


def _discovery(value: str, level: str) -> bytes:
    entity = {"platform": "sensor", "device_class": "temperature", "unit_of_measurement": "°C", "name": value}
    return _document(
        {
            "device": {"name": value, "identifiers": [value]},
            "components": {
                value: {**entity, "state_topic": f"esp/{level}/state", "unique_id": value},
                f"{value}_b": {**entity, "state_topic": f"esp/{level}/second"},
            },
        }
    )


def _bridge(value: str) -> bytes:
    definition = {"vendor": value, "model": value, "exposes": [{"property": value}, {"property": "temperature"}]}
    return json.dumps([{"friendly_name": value, "definition": definition}], ensure_ascii=False).encode()


def _lorawan(value: str) -> bytes:
    return _document(
        {
            "deduplicationId": value,
            "time": value,
            "deviceInfo": {"deviceName": value, "devEui": value, "tags": {value: value}},
            "fPort": 85,
            "data": base64.b64encode(value.encode()).decode(),
            "object": {value: 1, "temperature": value},
            "rxInfo": [{"gatewayId": value, "rssi": -60, "snr": 5}],
        }
    )


@dataclass(slots=True)
class Endpoints:
    """Where the agent under test can be reached."""

    mqtt: int
    health: int
    pages: int
    line: int
    """The device's end of its serial line."""
    failing_line: int
    """The same of one whose driver fails on all it hears; the agent listens to it now and then."""
    answers: deque[str]
    """What the device over TCP says next, one value an answer."""
    failing_answers: deque[str]
    """The same of one whose driver fails on all it hears."""
    program: Path
    """The program that says every value; it notes each start of it in a file beside."""


async def send_all(values: Sequence[str], to: Endpoints) -> None:
    """Each value through each inlet."""
    await _publish(values, to.mqtt)
    await _connect(values, to.mqtt)
    await _name_users(values[:: max(1, len(values) // _USERS)], to.mqtt)
    await _speak(values, to)
    await until(lambda: starts(to.program) > 1, timeout=60, what="all that the program says is heard")
    for port in (to.health, to.pages):
        await _ask_pages(values[:: max(1, len(values) // _USERS)], port)


async def _publish(values: Sequence[str], port: int) -> None:
    """By topic, key, value and payload, over one connection at QoS 1."""
    device = await Device.dial(port)
    await device.send(connect("sender", username=LOGIN))
    assert await device.read_packet() == (_CONNACK, b"\0\0")
    sent = [each for value in values for each in publications(value)]
    for begin in range(0, len(sent), _AT_ONCE):
        part = sent[begin : begin + _AT_ONCE]
        await device.send(
            b"".join(publish(topic, body, packet_id=number) for number, (topic, body) in enumerate(part, start=1))
        )
        await device.pubacks(len(part))
    await device.send(DISCONNECT)
    await device.close()


async def _connect(values: Sequence[str], port: int) -> None:
    """By client id, will, user property, subscription, and a QoS 2 exchange that stays open; half go without a word."""
    for begin in range(0, len(values), _CONNECTIONS):
        part = enumerate(values[begin : begin + _CONNECTIONS], start=begin)
        await asyncio.gather(*(_visit(number, value, port) for number, value in part))


async def _visit(number: int, value: str, port: int) -> None:
    device = await Device.dial(port)
    topic = f"zigbee2mqtt/co2/{value}".replace("+", "-").replace("#", "-")
    is_v5 = number % 2 == 0
    properties = b"\x26" + text("owner") + text(value) if is_v5 else b""
    hello = connect(
        value,
        level=5 if is_v5 else 4,
        clean=False,
        username=LOGIN,
        will=(topic, value.encode(), 1),
        properties=b"\x11\0\0\x0e\x10" + properties if is_v5 else b"",
        will_properties=properties,
    )
    await device.send(hello)
    kind, body = await device.read_packet()
    assert (kind, body[1]) == (_CONNACK, 0), value
    reading = b'{"temperature":21.5,"last_seen":%d}' % (_LAST_SEEN + number)
    await device.send(publish("zigbee2mqtt/co2", reading, packet_id=1, properties=properties if is_v5 else None))
    await device.pubacks(1)
    if not is_v5:
        await device.send(publish("zigbee2mqtt/co2", reading, packet_id=2, qos=2))
        assert (await device.read_packet())[0] == _PUBREC
    await device.send(subscribe(f"{topic}/set", is_v5=is_v5))
    if number % 3 == 0:
        await device.send(DISCONNECT)
    elif number % 3 == 1:
        await device.send(packet(0xF0, value.encode()))  # no packet of anybody's
    device.writer.transport.abort()


async def _name_users(values: Sequence[str], port: int) -> None:
    """By user name and password."""
    for value in values:
        for user, password in ((value, value), (LOGIN, value)):
            device = await Device.dial(port)
            await device.send(connect("somebody", username=user, password=password.encode()))
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await device.read_packet()
            await device.close()


async def _speak(values: Sequence[str], to: Endpoints) -> None:
    """By serial lines, alone and inside what begins like a frame, and by a device that is asked over TCP."""
    to.answers.extend(values)
    for value in values:
        raw = value.encode()
        said = raw + b"BM" + raw[:30].ljust(30) + value.encode("gb18030") + b"\r\n"
        await until(partial(_write, to.line, said), what="room in the serial line")
        _write(to.failing_line, said)
    await until(lambda: not (to.answers or to.failing_answers), timeout=300, what="every answer asked for")


def answers_at_length(values: Sequence[str]) -> deque[str]:
    """All values in few answers, the first by itself: a device that failed is left alone for a while."""
    found = deque(values[:1])
    for value in values[1:]:
        if len(found) > 1 and len(f"{found[-1]} {value}".encode()) < _LONGEST_ANSWER:
            found[-1] += f" {value}"
        else:
            found.append(value)
    return found


def _write(line: int, data: bytes) -> bool:
    try:
        return os.write(line, data) > 0
    except BlockingIOError:
        return False


async def _ask_pages(values: Sequence[str], port: int) -> None:
    """By path and header of the agent's own pages."""
    for value in values:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /%b?q=%b HTTP/1.1\r\nX-Name: %b\r\n\r\n" % ((value.encode().replace(b" ", b""),) * 3))
        await reader.read()
        writer.close()


@contextlib.asynccontextmanager
async def talking(answers: deque[str]) -> AsyncIterator[int]:
    """A PJLink device that gives to every question the next value there is, and then none."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"PJLINK 0\r")
        while question := await reader.readuntil(b"\r"):
            value = answers.popleft() if answers else "OK"
            writer.write(question[:6] + b"=" + value.encode() + b"\r")
            await writer.drain()

    async with serving(answer) as port:
        yield port


_PROGRAM: Final = """#!{python}
import json, sys
with open({starts!r}, "a") as starts:
    starts.write("once more\\n")
for value in json.loads({values!r}):
    reading = {{"quantity": "temperature", "value": 21.5}}
    places = [{{**reading, key: value}} for key in ("quantity", "value", "channel", "time_ms")]
    for line in (*places, {{value: 1}}, {{**reading, value: 1}}, {{**reading, "x": [{{value: value}}]}}, value):
        print(line if line == value else json.dumps(line, ensure_ascii=False), flush=True)
        print(value, file=sys.stderr, flush=True)
"""


def write_program(path: Path, values: Sequence[str]) -> Path:
    """A program that says each value wherever a line has a place for one, and on its standard error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"python": sys.executable, "starts": str(_starts(path)), "values": json.dumps(values)}
    path.write_text(_PROGRAM.format(**told))
    path.chmod(0o755)
    return path


def starts(program: Path) -> int:
    """How often it was started: what it said before the last start is heard."""
    return len(_starts(program).read_text().splitlines()) if _starts(program).exists() else 0


def _starts(program: Path) -> Path:
    return program.with_suffix(".starts")


@contextlib.contextmanager
def serial_line(name: Path) -> Iterator[int]:
    """A serial line under this name; gives the device's end."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    tty.setraw(slave)
    name.symlink_to(os.ttyname(slave))
    try:
        yield master
    finally:
        os.close(master)
        os.close(slave)
