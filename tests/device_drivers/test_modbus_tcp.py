"""Modbus over TCP: what is asked and understood, against pymodbus, and what is no answer to the question."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING, Final

import pytest
from pymodbus import FramerType
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from bansui.free_port import free_port
from device_drivers.contract import Frame, FrameRefused, PollDriver, Settings
from device_drivers.line_faults import DeviceSilent, LineLost
from device_drivers.modbus_tcp import Framing, open_modbus
from device_drivers.registry import named
from tests.edge_agent.servers import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from device_drivers.connections import StreamConnection

TIMEOUT_S: Final = 0.3
READ: Final = b"\x03\x00\x7c\x00\x02"
"""Function 3, two registers from 124."""
SAID: Final = b"\x03\x04\x00\x8d\x00\x8e"
"""Its answer, as pymodbus's tests have it."""


def rtu(unit: int, message: bytes) -> bytes:
    body = bytes([unit]) + message
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def tcp(transaction: int, unit: int, message: bytes) -> bytes:
    return FramerSocket(DecodePDU(False)).encode(message, unit, transaction)


class FarEnd:
    """Whoever is asked: says, to each question, what a test's function makes of it, and keeps what it heard."""

    def __init__(self, say: Callable[[int, int], list[bytes]]) -> None:
        """`say` is given the transaction and the number of the question; an empty part ends the connection."""
        self.heard: list[bytes] = []
        self._say = say

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while question := await reader.read(300):
            self.heard.append(question)
            (transaction,) = struct.unpack_from(">H", question)
            for part in self._say(transaction, len(self.heard)):
                if not part:
                    return writer.close()
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.001)
        return None


@contextlib.asynccontextmanager
async def connected(far: FarEnd, framing: Framing = Framing.MODBUS_TCP) -> AsyncIterator[StreamConnection]:
    async with serving(far) as port:
        connection = await open_modbus("127.0.0.1", port, framing, TIMEOUT_S)
        try:
            yield connection
        finally:
            connection.close()


async def ask(connection: StreamConnection, unit: int = 17) -> bytes:
    await connection.write(rtu(unit, READ))
    return await connection.read_exactly(len(rtu(unit, SAID)))


@pytest.mark.parametrize("unit", [0, 17, 255])
async def test_a_question_goes_out_as_pymodbus_frames_it_and_its_answer_comes_as_rtu(unit: int) -> None:
    far = FarEnd(lambda transaction, _: [tcp(transaction, unit, SAID)])
    async with connected(far) as connection:
        answers = [await ask(connection, unit) for _ in range(3)]
    assert answers == 3 * [rtu(unit, SAID)]
    assert far.heard == [tcp(transaction, unit, READ) for transaction in (1, 2, 3)]


async def test_an_answer_may_come_byte_by_byte() -> None:
    far = FarEnd(lambda transaction, _: [bytes([byte]) for byte in tcp(transaction, 17, SAID)])
    async with connected(far) as connection:
        assert await ask(connection) == rtu(17, SAID)


@pytest.mark.parametrize("others", [1, 3])
async def test_an_answer_to_an_earlier_question_is_passed_over(others: int) -> None:
    """However many there are, and in whichever pieces they come."""
    late = others * tcp(0x0C05, 17, b"\x03\x04\xff\xff\xff\xff")
    far = FarEnd(
        lambda transaction, _: [late[:9], late[9:] + tcp(transaction, 17, SAID)[:5], tcp(transaction, 17, SAID)[5:]]
    )
    async with connected(far) as connection:
        assert await ask(connection) == rtu(17, SAID)
        assert connection.is_in_step


async def test_what_is_left_of_an_answer_is_no_part_of_the_next() -> None:
    far = FarEnd(lambda transaction, number: [tcp(transaction, number, SAID)])
    async with connected(far) as connection:
        await connection.write(rtu(1, READ))
        assert await connection.read_exactly(2) == b"\x01\x03"
        assert await ask(connection) == rtu(2, SAID)


@pytest.mark.parametrize(
    "header",
    [
        b"\x00\x01\x00\x01\x00\x07",
        b"\x00\x01\x00\x00\x00\x02",
        b"\x00\x01\x00\x00\x00\xff",
        b"\x00\x01\x00\x00\xff\xff",
    ],
)
async def test_what_is_no_modbus_tcp_ends_the_connection(header: bytes) -> None:
    """A protocol other than 0, or a length that no frame has: what follows could be anything."""
    far = FarEnd(lambda _transaction, _number: [header + rtu(17, SAID)])
    async with connected(far) as connection:
        with pytest.raises(LineLost, match="no Modbus TCP"):
            await ask(connection)
        assert not connection.is_in_step


@pytest.mark.parametrize("size", range(12))
@pytest.mark.parametrize("hangs_up", [True, False])
async def test_half_an_answer_is_none(size: int, hangs_up: bool) -> None:
    """The connection is not to be asked again: the rest may still come."""
    part = tcp(1, 17, SAID)[:size]
    far = FarEnd(lambda _transaction, _number: [*([part] if part else []), *([b""] if hangs_up else [])])
    async with connected(far) as connection:
        with pytest.raises(LineLost if hangs_up else DeviceSilent):
            await ask(connection)
        assert not connection.is_in_step


async def test_an_answer_shorter_than_it_says_is_none_and_the_next_one_is_heard() -> None:
    far = FarEnd(lambda transaction, number: [tcp(transaction, 17, SAID if number > 1 else SAID[:-2])])
    async with connected(far) as connection:
        with pytest.raises(DeviceSilent, match="shorter"):
            await ask(connection)
        assert await ask(connection) == rtu(17, SAID)


async def test_over_rtu_what_came_before_a_question_is_no_answer() -> None:
    late = rtu(17, b"\x03\x04\xff\xff\xff\xff")
    far = FarEnd(lambda _transaction, number: [rtu(17, SAID), *([late] if number == 1 else [])])
    async with connected(far, Framing.RTU_OVER_TCP) as connection:
        assert [await ask(connection) for _ in range(2)] == 2 * [rtu(17, SAID)]
    assert far.heard == 2 * [rtu(17, READ)]


def meter(unit: int) -> PollDriver:
    driver = named("modbus_rtu").create(Settings(model="SDM120", options={"address": unit}))
    assert isinstance(driver, PollDriver)
    return driver


async def read(connection: StreamConnection, driver: PollDriver) -> dict[tuple[str, str], float]:
    frames = [frame async for frame in driver.poll(connection)]
    return {(m.quantity, m.channel): m.value for frame in frames for m in driver.decode(frame).measurements}


@contextlib.asynccontextmanager
async def pymodbus_meters(framer: FramerType, **voltages: float) -> AsyncIterator[int]:
    devices = [
        SimDevice(int(unit.removeprefix("at_")), [SimData(0, count=38, values=volts, datatype=DataType.FLOAT32)])
        for unit, volts in voltages.items()
    ]
    port = free_port()
    server = ModbusTcpServer(devices, framer=framer, address=("127.0.0.1", port))
    await server.listen()
    try:
        yield port
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("framing", "framer"), [(Framing.MODBUS_TCP, FramerType.SOCKET), (Framing.RTU_OVER_TCP, FramerType.RTU)]
)
async def test_meters_behind_a_server_of_pymodbus_are_read_over_one_connection(
    framing: Framing, framer: FramerType
) -> None:
    async with pymodbus_meters(framer, at_1=229.5, at_247=231.25) as port:
        connection = await open_modbus("127.0.0.1", port, framing, 5.0)
        for unit, volts in ((1, 229.5), (247, 231.25), (1, 229.5)):
            found = await read(connection, meter(unit))
            assert len(found) == 9
            assert set(found.values()) == {volts}
        connection.close()


@pytest.mark.parametrize("code", [10, 11])
async def test_a_gateway_that_cannot_reach_the_device_says_so_and_is_asked_for_the_next(code: int) -> None:
    here = b"\x04\x40" + bytes(64), b"\x04\x0c" + bytes(12)
    gone = bytes([0x84, code])

    def say(transaction: int, number: int) -> list[bytes]:
        return [tcp(transaction, 9, gone) if number == 1 else tcp(transaction, 1, here[number - 2])]

    async with connected(FarEnd(say)) as connection:
        with pytest.raises(DeviceSilent, match="gateway"):
            await read(connection, meter(9))
        assert connection.is_in_step
        assert await read(connection, meter(1))


async def test_an_answer_of_another_unit_is_refused() -> None:
    """Its transaction is the question's, and still it is another device's word."""
    far = FarEnd(lambda transaction, _: [tcp(transaction, 2, SAID)])
    driver = named("modbus_rtu").create(Settings(model="RS-Modbus", options={"address": 1}))
    assert isinstance(driver, PollDriver)
    async with connected(far) as connection:
        (frame,) = [frame async for frame in driver.poll(connection)]
    with pytest.raises(FrameRefused, match="another device"):
        driver.decode(frame)


def test_a_recorded_exception_of_a_gateway_says_that_the_device_is_unavailable() -> None:
    with pytest.raises(FrameRefused) as caught:
        meter(17).decode(Frame(rtu(17, b"\x84\x0b")))
    assert caught.value.reason == "unavailable"


async def test_nobody_there() -> None:
    with pytest.raises(LineLost):
        await open_modbus("127.0.0.1", free_port(), Framing.MODBUS_TCP, TIMEOUT_S)
