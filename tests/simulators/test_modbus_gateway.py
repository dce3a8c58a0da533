"""Simulated Modbus slaves behind a TCP address, asked by pymodbus, and what faults make of their answers."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING, Final

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient

from simulators import modbus_gateway
from simulators.devices import Devices
from simulators.faults import HALF_FRAME, HANG_UP, LATE_ANSWER
from simulators.modbus_gateway import MODBUS_TCP, RTU_OVER_TCP, ModbusGateway
from simulators.scenarios import ScenarioInvalid, load
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

METER, AIR = 31, 32
"""The addresses behind mixed-school's gateway."""
FRAMERS: Final = {MODBUS_TCP: FramerType.SOCKET, RTU_OVER_TCP: FramerType.RTU}
TWO_FRAMINGS: Final = """
[[device]]
id = "x"
room = "a"
kind = "pzem"
line = "l"
framing = "modbus-tcp"
[[device]]
id = "y"
room = "a"
kind = "pzem"
line = "l"
"""
QUESTION: Final = bytes.fromhex("150100000006200300500003")
"""Transaction 1501, unit 32: three holding registers from 0x50."""


class Gateway:
    """The gateway of mixed-school, what it tells of its answers, and the faults its devices have."""

    def __init__(self, framing: str) -> None:
        self.told: list[tuple[str, int, bool]] = []
        self.silent: set[str] = set()
        self.faults: set[str] = set()
        self.server = ModbusGateway(
            framing,
            Devices(load("mixed-school"), seed=4).asked["gateway-b"],
            lambda device, readings, is_sent: self.told.append((device, readings, is_sent)),
            lambda device: device not in self.silent,
            lambda _device: self.faults,
        )


@contextlib.asynccontextmanager
async def opened(framing: str = MODBUS_TCP) -> AsyncIterator[Gateway]:
    gateway = Gateway(framing)
    await gateway.server.open()
    try:
        yield gateway
    finally:
        await gateway.server.close()


@contextlib.asynccontextmanager
async def client(gateway: Gateway, framing: str) -> AsyncIterator[AsyncModbusTcpClient]:
    made = AsyncModbusTcpClient("127.0.0.1", port=gateway.server.port, framer=FRAMERS[framing], timeout=2, retries=0)
    assert await made.connect()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("framing", FRAMERS)
async def test_pymodbus_reads_both_devices_over_one_connection(framing: str) -> None:
    async with opened(framing) as gateway, client(gateway, framing) as peer:
        meter = await peer.read_input_registers(0, count=32, device_id=METER)
        air = await peer.read_holding_registers(0x50, count=3, device_id=AIR)
    assert 225 < struct.unpack(">f", struct.pack(">2H", *meter.registers[:2]))[0] < 233
    assert 350 < air.registers[0] < 2000
    assert gateway.told == [
        (name, n, s) for name, n in (("meter-b-server", 6), ("air-b-server", 3)) for s in (False, True)
    ]


async def test_of_a_device_that_is_not_there_the_gateway_says_that_it_did_not_respond() -> None:
    async with opened() as gateway, client(gateway, MODBUS_TCP) as peer:
        gateway.silent.add("air-b-server")
        gone = await peer.read_holding_registers(0x50, count=3, device_id=AIR)
        nobody = await peer.read_holding_registers(0x50, count=3, device_id=77)
        here = await peer.read_input_registers(0, count=2, device_id=METER)
    assert (gone.isError(), gone.exception_code, nobody.exception_code) == (True, 0x0B, 0x0B)
    assert not here.isError()


async def test_a_converter_says_nothing_of_a_device_that_is_not_there() -> None:
    async with opened(RTU_OVER_TCP) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port)
        gateway.silent.add("air-b-server")
        writer.write(bytes.fromhex("200300500003036b"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        writer.close()


@contextlib.asynccontextmanager
async def asked(gateway: Gateway, question: bytes = QUESTION) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port)
    writer.write(question)
    try:
        async with asyncio.timeout(5):
            yield reader
    finally:
        writer.close()


async def test_an_answer_has_the_question_s_transaction_and_its_own_length() -> None:
    async with opened() as gateway, asked(gateway) as reader:
        answer = await reader.readexactly(15)
    assert answer[:9] == bytes.fromhex("150100000009200306")


@pytest.mark.parametrize("question", ["150100010006200300500003", "15010000000120", "1501000000ff20"])
async def test_what_is_no_modbus_tcp_ends_the_connection(question: str) -> None:
    async with opened() as gateway, asked(gateway, bytes.fromhex(question)) as reader:
        assert await reader.read() == b""
    assert gateway.told == []


async def test_half_a_frame_holds_no_reading() -> None:
    async with opened() as gateway:
        gateway.faults.add(HALF_FRAME)
        async with asked(gateway) as reader:
            assert await reader.readexactly(7) == bytes.fromhex("15010000000920")
            await until(lambda: gateway.told == [("air-b-server", 0, False), ("air-b-server", 0, True)])


async def test_a_gateway_that_hangs_up_says_nothing() -> None:
    async with opened() as gateway:
        gateway.faults.add(HANG_UP)
        async with asked(gateway) as reader:
            assert await reader.read() == b""
    assert gateway.told == []


async def test_a_late_answer_is_sent_and_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other questions are answered meanwhile."""
    monkeypatch.setattr(modbus_gateway, "LATE_S", 0.1)
    async with opened() as gateway:
        gateway.faults.add(LATE_ANSWER)
        async with asked(gateway) as reader:
            await until(lambda: gateway.told == [("air-b-server", 3, False)])
            gateway.faults.clear()
            async with asked(gateway) as other:
                await other.readexactly(15)
            assert len(await reader.readexactly(15)) == 15
    assert gateway.told.count(("air-b-server", 3, True)) == 1


@pytest.mark.parametrize(
    ("devices", "what"),
    [
        ('[[device]]\nid = "x"\nroom = "a"\nkind = "co2_serial"\nframing = "modbus-tcp"\n', "speaks no Modbus"),
        (
            TWO_FRAMINGS,
            "more than one framing",
        ),
        ('[[device]]\nid = "x"\nroom = "a"\nkind = "pzem"\nframing = "ascii"\n', "framing"),
    ],
)
def test_a_scenario_whose_framing_cannot_be(tmp_path: Path, devices: str, what: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'like = "school-day"\nalarm = []\n[[room]]\ncode = "a"\nbuilding = "a"\n{devices}')
    with pytest.raises(ScenarioInvalid, match=what):
        load(str(file))
