"""From what announces itself to a block in agent.toml: a real agent, the real command, and nothing collected before."""

from __future__ import annotations

import asyncio
import json
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from edge_agent.bindings import bind
from edge_agent.config_file import load
from edge_agent.discovery import pjlink_search
from edge_agent.discovery.pjlink_search import search
from edge_agent.discovery.serial_ports import free_ports
from edge_agent.discovery.telling import NAME, ask
from telemetry import EnvironmentFault
from tests.broker.device import Device, connect, publish
from tests.edge_agent.running import LISTENER, configure, running
from tests.edge_agent.test_announcements import BRIDGE, DISCOVERY, JOIN
from tests.support.commands import call_bansui
from tests.support.processes import run_bansui

if TYPE_CHECKING:
    from collections.abc import Sequence

ANNOUNCED: Final[list[tuple[str, object]]] = [
    ("zigbee2mqtt/bridge/devices", BRIDGE),
    ("homeassistant/sensor/esp/co2/config", DISCOVERY),
    ("spBv1.0/school/NBIRTH/plc", b"\x08\x01"),
    ("application/1/device/24e124725c140000/event/join", JOIN),
]
PAGES: Final = '[pages]\nhost = "127.0.0.1"\nport = 0\n'
OPEN: Final = LISTENER.replace('"zigbee2mqtt/#"', '"#"')


async def announce(port: int, messages: Sequence[tuple[str, object]] = ANNOUNCED) -> None:
    """As a bridge does: retained, at QoS 1, each acknowledged."""
    device = await Device.dial(port)
    await device.send(connect("bridge", username="bridge"))
    await device.read_packet()
    for number, (topic, document) in enumerate(messages, 1):
        payload = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
        await device.send(publish(topic, payload, packet_id=number, retain=True))
    await device.pubacks(len(messages))
    await device.close()


async def discover(path: Path, *options: str, language: str = "C.UTF-8") -> Any:
    """What the command prints."""
    done = await asyncio.to_thread(
        run_bansui, "agent", "discover", "--config", str(path), "--search", "", *options, env={"LC_ALL": language}
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout) if "--json" in options else done.stdout


async def test_from_an_announcement_to_a_device(tmp_path: Path) -> None:
    """All four are proposed, with their drivers; the blocks are valid as they are printed; then nothing is new."""
    path = configure(tmp_path / "agent", OPEN, PAGES)
    async with running(path) as agent:
        await announce(agent.agent.listener_port or 0)
        found = await discover(path, "--json", "--room", "a-301")
        await agent.stop()
        balance = agent.audit().balance
    assert balance["admitted"] == 0, "something of a device that nobody placed was collected"
    assert (found["agent_running"], found["forgotten"], found["unread"]) == (True, 0, 0)
    heard = [each for each in found["proposals"] if each["transport"] == "mqtt"]
    drivers = {each["source"]: each["drivers"] for each in heard}
    assert drivers == {
        "zigbee2mqtt": ["zigbee2mqtt"],
        "home_assistant": ["home_assistant"],
        "sparkplug": ["sparkplug_b"],
        "chirpstack": ["lorawan"],
    }
    path.write_text(path.read_text() + "\n".join(each["block"] for each in heard))
    bound = bind(load(path)).bindings
    assert sorted(binding.driver_id for binding in bound.values()) == sorted(each[0] for each in drivers.values())
    assert {binding.room for binding in bound.values()} == {"a-301"}
    async with running(path) as agent:
        await announce(agent.agent.listener_port or 0)
        again = await discover(path, "--json")
        await agent.stop()
    assert [each for each in again["proposals"] if each["transport"] == "mqtt"] == []


@pytest.mark.parametrize(
    ("language", "words"),
    [("C.UTF-8", "{count} new devices; assign a room"), ("zh_CN.UTF-8", "发现 {count} 台新设备")],
    ids=["en", "zh"],
)
async def test_what_a_technician_reads(tmp_path: Path, language: str, words: str) -> None:
    """All of it is TOML that can be pasted, in the reader's language; what is to be chosen is named by the check."""
    path = configure(tmp_path / "agent", OPEN)
    async with running(path) as agent:
        await announce(agent.agent.listener_port or 0)
        printed = await discover(path, language=language)
    ports = len(free_ports([]))
    assert words.format(count=4 + ports) in printed
    devices = tomllib.loads(printed)["device"]
    assert len(devices) == 4 + ports
    assert {device["room"] for device in devices} == {""}
    path.write_text(path.read_text() + printed)
    done = run_bansui("agent", "validate", "--config", str(path))
    assert done.returncode == 2
    assert "device[1].room" in done.stderr


async def test_an_agent_that_does_not_run(tmp_path: Path) -> None:
    """The rest is found all the same, and it is said what is missing."""
    path = configure(tmp_path / "agent", OPEN)
    assert "The agent is not running" in await discover(path)
    assert (await discover(path, "--json"))["agent_running"] is False


def test_a_room_that_there_is_not(tmp_path: Path) -> None:
    done = call_bansui("agent", "discover", "--config", str(configure(tmp_path / "agent", OPEN)), "--room", "b-1")
    assert done.returncode == 2
    assert "one of: a-301" in done.stderr


async def test_who_may_hear_it(tmp_path: Path) -> None:
    """The agent's user alone; in a folder whose name is long; and the socket is gone with the agent."""
    folder = tmp_path / ("long-" * 30)
    async with running(configure(folder, OPEN)) as agent:
        await announce(agent.agent.listener_port or 0)
        assert (folder / "state" / NAME).stat().st_mode & 0o777 == 0o600
        told = await ask(folder / "state")
        assert told is not None
        assert len(told.proposals) == 4
        await agent.stop()
    assert not (folder / "state" / NAME).exists()
    assert await ask(folder / "state") is None


async def test_an_agent_that_answers_with_garbage(tmp_path: Path) -> None:
    """It is an error of the machine's, in a sentence."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"proposals": 7}')
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / NAME)
    with pytest.raises(EnvironmentFault):
        await ask(tmp_path)
    server.close()


async def test_the_page_names_nobody(tmp_path: Path) -> None:
    """How many of which kind, in both languages; no topic, no name, no address."""
    names = [{**BRIDGE[1], "friendly_name": "张伟的传感器"}, {**BRIDGE[1], "friendly_name": "0x0017880104e45522"}]
    path = configure(tmp_path / "agent", OPEN, PAGES)
    async with running(path) as agent, httpx.AsyncClient(trust_env=False) as client:
        await announce(agent.agent.listener_port or 0, [("zigbee2mqtt/bridge/devices", names)])
        assert agent.agent.pages is not None
        base = f"http://127.0.0.1:{agent.agent.pages.port}"
        english, chinese = [(await client.get(f"{base}/new?lang={language}")).text for language in ("en", "zh")]
        today = (await client.get(f"{base}/?lang=en")).text
        await agent.stop()
    assert "Zigbee, listed by zigbee2mqtt: 2" in english
    assert "见于 zigbee2mqtt：2" in chinese
    for word in ("张伟", "0x0017", "Aqara", "temperature"):
        assert word not in english + chinese
    assert "/new?lang=en" in today
    for file in (tmp_path / "agent").rglob("*"):
        assert not file.is_file() or "张伟".encode() not in file.read_bytes(), file


async def test_a_search_for_projectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers as PJLink does is found once, by where it answered from; garbage and echoes are not."""
    asked: list[bytes] = []

    class Projector(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            asked.append(data)
            for answer in (b"", data, b"%2ACKN=00:11:22:33:44:55\r", b"\xff" * 900, b"%2ACKN=00:11:22:33:44:55\r"):
                self.transport.sendto(answer, addr)  # type: ignore[attr-defined] # it is a datagram transport

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Projector, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    answers = await search("127.0.0.1", port=port, wait_s=0.5)
    transport.close()
    assert asked == [b"%2SRCH\r"]
    assert (list(answers.hosts), answers.failure) == (["127.0.0.1"], "")
    (found,) = pjlink_search.projectors(answers.hosts, set())
    assert (found.drivers, found.address) == (("pjlink",), "127.0.0.1")
    assert pjlink_search.projectors(answers.hosts, {"127.0.0.1"}) == []


def test_an_address_that_is_none(tmp_path: Path) -> None:
    """A mistake of the caller's is an error in a sentence."""
    path = configure(tmp_path / "agent", OPEN)
    done = call_bansui("agent", "discover", "--config", str(path), "--search", "no.such.host.invalid")
    assert done.returncode == 2
    assert "is no IPv4 address" in done.stderr


async def test_a_network_that_cannot_be_asked() -> None:
    """Why is said, and the rest is found all the same."""
    answers = await search("127.0.0.1", port=0, wait_s=0.1)
    assert answers.failure
    assert not answers.hosts


def test_serial_ports_that_nobody_uses(tmp_path: Path) -> None:
    """By the name that stays; one that a device of the configuration has, by whatever name, is left out."""
    for number in range(3):
        (tmp_path / f"ttyUSB{number}").touch()
    by_path = tmp_path / "by-path"
    by_path.mkdir()
    (by_path / "pci-usb-0:1.2-port0").symlink_to(tmp_path / "ttyUSB1")
    listed = [
        SimpleNamespace(device=str(tmp_path / f"ttyUSB{number}"), description=f"USB\x1b {number}")
        for number in range(3)
    ]
    found = free_ports([str(by_path / "pci-usb-0:1.2-port0")], lambda: listed, by_path)
    assert [Path(each.address).name for each in found] == ["ttyUSB0", "ttyUSB2"]
    assert found[0].make == "USB 0"
    found = free_ports([], lambda: listed, by_path)
    assert [Path(each.address).name for each in found] == ["ttyUSB0", "pci-usb-0:1.2-port0", "ttyUSB2"]
