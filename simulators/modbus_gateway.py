"""A TCP address with Modbus slaves behind it: a Modbus TCP gateway, or a converter that hands on RTU as it is.

Formats: Modbus Organization, "MODBUS Messaging on TCP/IP Implementation Guide" V1.0b, section 3.1 (MBAP header), and
"MODBUS Application Protocol Specification" V1.1b3, section 7 (exception 0B: the target did not respond).
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final

from simulators.asked_server import LONGEST_QUESTION, AskedServer
from simulators.faults import HALF_FRAME, HANG_UP, LATE_ANSWER
from simulators.modbus import check_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from simulators.asked_line import Answer, Asked

MODBUS_TCP: Final = "modbus-tcp"
RTU_OVER_TCP: Final = "rtu-over-tcp"
LATE_S: Final = 4.0
"""How late an answer is that comes too late, in real time, as whoever waits for it does."""
_HEADER: Final = struct.Struct(">HHHB")
_MOST: Final = 254
_CHECK_SUM: Final = 2
_FAILED: Final = 0x80
_NO_RESPONSE: Final = 0x0B


class ModbusGateway(AskedServer):
    """Slaves behind one address, one asked at a time, whoever asks."""

    def __init__(
        self,
        framing: str,
        devices: Sequence[Asked],
        on_answer: Callable[[str, int, bool], None],
        perceive: Callable[[str], bool] = lambda _device: True,
        faults: Callable[[str], Container[str]] = lambda _device: (),
    ) -> None:
        """`faults` names those that a device's answers suffer from at the moment."""
        super().__init__(devices, on_answer, perceive)
        self._framing, self._faults = framing, faults
        self._wire = asyncio.Lock()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._framing == RTU_OVER_TCP:
            while question := await reader.read(LONGEST_QUESTION):
                await self._pass_on(question, b"", writer)
            return
        while True:
            header = await reader.readexactly(_HEADER.size)
            transaction, protocol, length, unit = _HEADER.unpack(header)
            if protocol or not 1 < length <= _MOST:
                return
            body = bytes([unit]) + await reader.readexactly(length - 1)
            await self._pass_on(body + check_sum(body), struct.pack(">HH", transaction, protocol), writer)

    async def _pass_on(self, question: bytes, head: bytes, writer: asyncio.StreamWriter) -> None:
        """Ask the slaves, and say what comes of it; `head` is what an answer of Modbus TCP begins with."""
        async with self._wire:
            found = self._ask(question)
            if found is None:
                if head:
                    body = bytes((question[0], question[1] | _FAILED, _NO_RESPONSE))
                    writer.write(_framed(head, body + check_sum(body)))
                return
            device, answer = found
            await self._say(device, answer, _framed(head, answer.content), writer)

    async def _say(self, device: str, answer: Answer, content: bytes, writer: asyncio.StreamWriter) -> None:
        faults = self._faults(device)
        if HANG_UP in faults:
            writer.close()
        elif LATE_ANSWER in faults:
            self._on_answer(device, len(answer.readings), False)
            asyncio.get_running_loop().call_later(LATE_S, writer.write, content)
        elif HALF_FRAME in faults:
            await self._send(device, 0, content[: len(content) // 2], writer)
        else:
            await self._send(device, len(answer.readings), content, writer)


def _framed(head: bytes, frame: bytes) -> bytes:
    """A frame of RTU as it goes over TCP."""
    if not head:
        return frame
    body = frame[:-_CHECK_SUM]
    return head + struct.pack(">H", len(body)) + body
