"""A check of drivers of Modbus registers: by Modbus TCP the same comes of them as over a serial line.

Source: as of `device_drivers.modbus_tcp`, whose other end this is.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from device_drivers.conformance.findings import CheckFailed
from device_drivers.conformance.line_checks import asked_over
from device_drivers.conformance.wire import ANSWER_TIMEOUT_S, Device, TcpEnd, over_tcp
from device_drivers.modbus_tcp import Framing, open_modbus
from device_drivers.tables.checksums import crc16_modbus

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_drivers.conformance.conversation import Conversation
    from device_drivers.conformance.line_checks import Round
    from device_drivers.conformance.subject import Subject
    from device_drivers.contract import PollDriver

    Said: TypeAlias = Callable[["bytes", "bytes"], list[bytes]]
    """What goes over the wire, in its pieces, for a transaction and an answer without its check sum."""

_HEAD: Final = 6
_SUM: Final = 2
_TARGET_SILENT: Final = 0x0B


class _Manner(NamedTuple):
    """How a gateway answers."""

    what: str
    say: Said
    is_answer: bool = False
    """Whether the right answer is among it; else nothing may come of it, and it is a fault."""
    hangs_up: bool = False


def _framed(transaction: bytes, body: bytes, protocol: int = 0) -> bytes:
    return transaction + struct.pack(">HH", protocol, len(body)) + body


def _other(transaction: bytes) -> bytes:
    return bytes([transaction[0] ^ 0x80, transaction[1]])


def _changed(body: bytes) -> bytes:
    return body[:3] + bytes(byte ^ 0xFF for byte in body[3:])


_MANNERS: Final = (
    _Manner("a whole answer", lambda number, body: [_framed(number, body)], is_answer=True),
    _Manner(
        "an earlier transaction's answer before it",
        lambda number, body: [_framed(_other(number), _changed(body)) + _framed(number, body)],
        is_answer=True,
    ),
    _Manner("another protocol", lambda number, body: [_framed(number, body, 1)]),
    _Manner("a length of nothing", lambda number, body: [number + bytes(4) + body]),
    _Manner("half an answer", lambda number, body: [_framed(number, body)[: _HEAD + len(body) // 2]], hangs_up=True),
    _Manner("no answer", lambda _number, _body: [], hangs_up=True),
    _Manner(
        "the gateway's word that the device is silent",
        lambda number, body: [_framed(number, bytes((body[0], body[1] | 0x80, _TARGET_SILENT)))],
    ),
)


class _Gateway(TcpEnd):
    """The device's end of a Modbus TCP connection: questions become RTU, answers become Modbus TCP."""

    def __init__(self, device: Device, manner: _Manner) -> None:
        super().__init__(device)
        self._manner = manner
        self._heard = b""
        self._number = b""

    def data_received(self, data: bytes) -> None:
        """Hear."""
        self._heard += data
        while len(self._heard) >= _HEAD:
            length = int.from_bytes(self._heard[4:_HEAD])
            if len(self._heard) < _HEAD + length:
                return
            body = self._heard[_HEAD : _HEAD + length]
            self._number, self._heard = self._heard[:2], self._heard[_HEAD + length :]
            self._device.received(body + _sum(body))

    def send(self, data: bytes) -> None:
        """Say a recorded answer in the manner of this gateway."""
        if not data:
            return
        body = data[:-_SUM] if _sum(data[:-_SUM]) == data[-_SUM:] else data
        for piece in self._manner.say(self._number, body):
            super().send(piece)
        if self._manner.hangs_up:
            self.hang_up()


def modbus_tcp(subject: Subject) -> str:
    """The same frames come by Modbus TCP, and none of what is no answer to the question."""
    conversation = subject.conversation
    driver = conversation.create()
    for manner in (*_MANNERS, _MANNERS[0]):
        frames, fault = asyncio.run(_round(conversation, driver, manner))
        if manner.is_answer and (fault is not None or frames != conversation.frames):
            why = fault or "others than recorded"
            raise CheckFailed(f"by Modbus TCP, with {manner.what}, it gives {len(frames)} frames, and {why}")
        if not manner.is_answer and frames:
            raise CheckFailed(f"by Modbus TCP, of {manner.what} it makes a frame")
        if not manner.is_answer and fault is None:
            raise CheckFailed(f"by Modbus TCP, {manner.what} is no fault to it")
    return f"{len(conversation.turns)} questions, {len(_MANNERS)} ways to answer"


async def _round(conversation: Conversation, driver: PollDriver, manner: _Manner) -> Round:
    device = Device(conversation)
    line = over_tcp(
        device,
        lambda: _Gateway(device, manner),
        lambda port: open_modbus("127.0.0.1", port, Framing.MODBUS_TCP, ANSWER_TIMEOUT_S),
    )
    return await asked_over(line, driver)


def _sum(body: bytes) -> bytes:
    return crc16_modbus(body).to_bytes(_SUM, "little")
