"""Modbus RTU on RS-485: each block of registers is asked for, and read by the table of the device's model.

Source: Modbus Organization, "MODBUS Application Protocol Specification" V1.1b3, sections 6.3, 6.4 and 7, and "MODBUS
over Serial Line" V1.02, section 2.5.1. Messages, frames and check sums are pymodbus's; the bytes travel over the
agent's line. The driver reads; it never writes a register.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Final

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from device_drivers.contract import Decoded, Frame, FrameRefused, Measurement
from device_drivers.modbus_rtu.profiles import Block, profiles
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_drivers.contract import Connection, Settings

UNLISTED: Final = "unlisted"
"""The model of frames whose registers have no table here: they are checked, and their values dropped."""

_REQUESTS: Final = {3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest}
_FAILED: Final = 0x80
_HEADER: Final = 3
_CHECK_SUM: Final = 2
_ASKED: Final = struct.Struct(">BBHH")
_EXCEPTIONS: Final = {
    1: ("undefined_command", "the device does not know this function"),
    2: ("out_of_parameter", "the device does not have these registers"),
    3: ("out_of_parameter", "the device does not give so many registers at once"),
    6: ("unavailable", "the device is busy"),
}
_FAILURE: Final = ("device_error", "the device reports its own failure")
_DECODER: Final = DecodePDU(is_server=False)
_FRAMER: Final = FramerRTU(_DECODER)


def create(settings: Settings) -> ModbusRtu:
    """The driver for one device, by its model and its address on the line."""
    address = settings.options.get("address")
    if address is not None and (isinstance(address, bool) or not isinstance(address, int) or not 0 <= address <= 255):
        raise ConfigurationError(f"address is {address!r}", fix="write the device's address on the line, 1 to 247")
    has_check_sum = settings.options.get("crc", True)
    if not isinstance(has_check_sum, bool):
        raise ConfigurationError(f"crc is {has_check_sum!r}", fix="write true, or false where a converter takes it off")
    profile = profiles().get(settings.model)
    blocks = profile.block if profile is not None else ()
    return ModbusRtu(blocks, address, profile.address if profile is not None else 1, has_check_sum=has_check_sum)


class ModbusRtu:
    """Asks one device for the blocks of its table, and understands the answers."""

    def __init__(
        self, blocks: tuple[Block, ...], address: int | None, usual_address: int, *, has_check_sum: bool
    ) -> None:
        """`address` is None where nobody stated it: then the usual one is asked, and an answer alone may be any's."""
        self._blocks = blocks
        self._stated = address
        self._address = usual_address if address is None else address
        self._trailer = _CHECK_SUM if has_check_sum else 0

    def decode(self, frame: Frame) -> Decoded:
        """Understand one answer. Raises `FrameRefused`."""
        unit, function, registers = self._open(frame.payload)
        if frame.request:
            asked_unit, asked_function, start, count = _ASKED.unpack_from(frame.request)
            if (unit, function, len(registers)) != (asked_unit, asked_function, count):
                raise FrameRefused("unexpected", "an answer to another question, or of another device")
            blocks = [block for block in self._blocks if (block.function, block.start) == (function, start)]
        else:
            if self._stated not in (None, unit):
                raise FrameRefused("unexpected", "an answer of another device")
            blocks = [block for block in self._blocks if (block.function, block.count) == (function, len(registers))]
        if len(blocks) != 1:
            return Decoded((), tuple(f"register-{number}" for number in range(len(registers))))
        return _measured(blocks[0], registers)

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        """Ask for every block; yield each answer. Raises `DeviceFault`."""
        if not self._blocks:
            raise FrameRefused("no_table", "no register table: name one of the driver's models")
        for block in self._blocks:
            pdu = _REQUESTS[block.function](dev_id=self._address, address=block.start, count=block.count)
            request = _FRAMER.buildFrame(pdu)
            await connection.write(request)
            header = await connection.read_exactly(_HEADER)
            data = 0 if header[1] & _FAILED else header[2]
            yield Frame(header + await connection.read_exactly(data + self._trailer), request=request)

    def _open(self, payload: bytes) -> tuple[int, int, list[int]]:
        """Who answers, to which function, and the registers. Raises `FrameRefused`."""
        if len(payload) < _HEADER + self._trailer:
            raise FrameRefused("length", "the answer is too short to be one")
        failed = bool(payload[1] & _FAILED)
        expected = _HEADER + (0 if failed else payload[2]) + self._trailer
        if len(payload) != expected:
            raise FrameRefused("length", f"the answer is {len(payload)} bytes long, not {expected}")
        body = payload[: len(payload) - self._trailer]
        if self._trailer and not FramerRTU.check_CRC(body, int.from_bytes(payload[-_CHECK_SUM:], "big")):
            raise FrameRefused("checksum", "the answer's check sum is not that of its bytes")
        if failed:
            raise FrameRefused(*_EXCEPTIONS.get(payload[2], _FAILURE))
        if payload[1] not in _REQUESTS or payload[2] % 2:
            raise FrameRefused("unexpected", "an answer that holds no registers")
        pdu = _DECODER.decode(body[1:])
        if pdu is None:
            raise FrameRefused("malformed", "the answer is not a Modbus message")
        return payload[0], payload[1], list(pdu.registers)


def _measured(block: Block, registers: list[int]) -> Decoded:
    measurements: list[Measurement] = []
    dropped: list[str] = []
    for register in block.value:
        offset = register.address - block.start
        value = register.read(registers[offset : offset + register.size])
        if math.isfinite(value):
            measurements.append(Measurement(register.quantity, value, register.channel))
        else:
            dropped.append(register.quantity)
    return Decoded.of(measurements, tuple(dropped))
