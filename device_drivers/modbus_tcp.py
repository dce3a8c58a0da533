"""Modbus over TCP, for drivers that speak Modbus RTU: the frame is the driver's, whatever carries it.

Source: Modbus Organization, "MODBUS Messaging on TCP/IP Implementation Guide" V1.0b, sections 3.1 (MBAP header) and
4.2.2 (transaction identifier). The header states the address, as unit identifier, and TCP does without the check sum.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

from device_drivers.connections import SerialConnection, StreamConnection, connected
from device_drivers.line_faults import DeviceSilent, LineLost
from device_drivers.tables.checksums import crc16_modbus

PORT: Final = 502

_HEADER: Final = struct.Struct(">HHHB")
"""Transaction identifier, protocol identifier, length of what follows, unit identifier."""
_MODBUS: Final = 0
_CHECK_SUM: Final = 2
_FEWEST, _MOST = 3, 254
"""A unit, a function and a byte at least; a unit and 253 bytes at most."""
_SILENCE_S: Final = 0.05
"""What parts a late answer's pieces from a question: a converter hands on in packets what it hears on its line."""


class Framing(enum.StrEnum):
    """What a TCP connection carries to a Modbus device."""

    MODBUS_TCP = "modbus-tcp"
    RTU_OVER_TCP = "rtu-over-tcp"


class ModbusTcpConnection(StreamConnection):
    """A Modbus TCP connection to a driver's RTU frames; the answer to another question never comes through."""

    _transaction = 0
    _answer: bytes | None = None
    """What is left of the answer; None until it is there."""

    async def write(self, data: bytes) -> None:
        """Send the question that `data` is, an RTU frame with its check sum. Raises `DeviceSilent`."""
        self._transaction = (self._transaction + 1) & 0xFFFF
        self._answer = None
        unit, message = data[0], data[1:-_CHECK_SUM]
        await super().write(_HEADER.pack(self._transaction, _MODBUS, len(message) + 1, unit) + message)

    async def read_exactly(self, count: int) -> bytes:
        """That many bytes of the answer, as RTU has it. Raises `DeviceSilent`."""
        answer = await self._whole()
        if len(answer) < count:
            raise DeviceSilent("the answer is shorter than it says")
        return self._taken(answer, count)

    async def read_until(self, separator: bytes) -> bytes:
        """The answer's bytes up to and including `separator`. Raises `DeviceSilent`."""
        answer = await self._whole()
        at = answer.find(separator)
        if at < 0:
            raise DeviceSilent("the answer ends otherwise")
        return self._taken(answer, at + len(separator))

    def _taken(self, answer: bytes, count: int) -> bytes:
        self._answer = answer[count:]
        return answer[:count]

    async def _whole(self) -> bytes:
        if self._answer is None:
            self._answer = await self._within(self._receive())
        return self._answer

    async def _receive(self) -> bytes:
        """The next answer to the question that was asked last."""
        while True:
            header = await self._reader.readexactly(_HEADER.size)
            transaction, protocol, length, unit = _HEADER.unpack(header)
            if protocol != _MODBUS or not _FEWEST <= length <= _MOST:
                raise LineLost("what came is no Modbus TCP: is it RTU over TCP?")
            frame = bytes([unit]) + await self._reader.readexactly(length - 1)
            if transaction == self._transaction:
                return frame + crc16_modbus(frame).to_bytes(_CHECK_SUM, "little")


async def open_modbus(host: str, port: int, framing: Framing, timeout_s: float) -> StreamConnection:
    """Connect to a Modbus device, to a gateway, or to a converter with devices on its line. Raises `LineLost`."""
    reader, writer = await connected(host, port, timeout_s)
    if framing is Framing.MODBUS_TCP:
        return ModbusTcpConnection(reader, writer, timeout_s)
    return SerialConnection(reader, writer, timeout_s, silence_s=_SILENCE_S)
