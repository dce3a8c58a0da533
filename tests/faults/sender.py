"""A device that sends each message until it has the last word on it, over as many connections as that takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.broker.device import DISCONNECT, Device, connect, packet, publish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from telemetry import Clock

READINGS_A_MESSAGE: Final = 2
MOST_UNDER_WAY: Final = 20
_MOST_WAITING: Final = 60
_RECONNECT_S: Final = 0.05
_PUBACK, _PUBREC, _PUBREL, _PUBCOMP = 0x40, 0x50, 0x62, 0x70


@dataclass(slots=True)
class _Message:
    topic: str
    payload: bytes
    is_released: bool = False
    """At QoS 2: PUBREC has come, and PUBREL is what is sent again."""


class Sender:
    """A device with a lasting session, MQTT 3.1.1 (section 4.4: what has no answer is sent again, in its order)."""

    def __init__(self, port: int, name: str, *, qos: int = 1) -> None:
        self.name = name
        self.stamps: set[int] = set()
        """The event time of each message, in milliseconds: whole seconds, each once."""
        self.acknowledged = 0
        self.connections = 0
        self.was_heard = False
        """Whether the present connection has had an answer."""
        self.sent_again = 0
        self._port = port
        self._qos = qos
        self._newest = 0
        self._packet_id = 0
        self._waiting: deque[_Message] = deque()
        self._under_way: dict[int, _Message] = {}
        self._device: Device | None = None
        self._left_open: list[Device] = []

    @property
    def unacknowledged(self) -> int:
        """Messages without their last word, sent or not."""
        return len(self._waiting) + len(self._under_way)

    @property
    def under_way(self) -> int:
        """Of these, those that were sent."""
        return len(self._under_way)

    def measure(self, now_ms: int) -> None:
        """One more message, with a second of its own; the smoke detector changes its mind each time."""
        self._newest = max(self._newest + 1000, now_ms // 1000 * 1000)
        number = len(self.stamps)
        self.stamps.add(self._newest)
        reading = {"smoke": number % 2 == 0, "temperature": 20 + number % 90 / 10, "last_seen": self._newest}
        self._waiting.append(_Message(f"zigbee2mqtt/{self.name}", json.dumps(reading).encode()))
        self._send_waiting()

    def drop(self) -> None:
        """The connection breaks: no goodbye, and nothing that is under way arrives for certain."""
        if self._device is not None:
            self._device.writer.transport.abort()

    def vanish(self) -> None:
        """It loses its power: nobody hears of it, and the connection stays as it is."""
        if self._device is not None:
            self._left_open.append(self._device)
            self._device.reader.set_exception(ConnectionResetError())

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        try:
            while True:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await self._serve()
                await asyncio.sleep(_RECONNECT_S)
        finally:
            for device in self._left_open:
                device.writer.transport.abort()

    async def _serve(self) -> None:
        device = await Device.dial(self._port)
        try:
            device.writer.write(connect(self.name, clean=False, username="bridge"))
            kind, body = await device.read_packet()
            assert (kind, body[1]) == (0x20, 0), f"CONNACK {body.hex()}"
            self.connections += 1
            self.was_heard = False
            self._device = device
            for packet_id, message in self._under_way.items():
                self._write(packet_id, message, dup=True)
                self.sent_again += 1
            self._send_waiting()
            while True:
                kind, body = await _next_packet(device)
                self._answered(kind, int.from_bytes(body, "big"))
        except asyncio.CancelledError:
            device.writer.write(DISCONNECT)
            raise
        finally:
            self._device = None
            if device not in self._left_open:
                await device.close()

    def _answered(self, kind: int, packet_id: int) -> None:
        message = self._under_way.get(packet_id)
        if kind == _PUBREC:
            if message is not None:
                message.is_released = True
                self._write(packet_id, message, dup=True)
        elif kind in (_PUBACK, _PUBCOMP):
            if message is not None:
                del self._under_way[packet_id]
                self.acknowledged += 1
                self.was_heard = True
            self._send_waiting()
        else:
            raise AssertionError(f"a packet {kind:#x} that no device asked for")

    def _send_waiting(self) -> None:
        while self._device is not None and self._waiting and len(self._under_way) < MOST_UNDER_WAY:
            self._packet_id = self._packet_id % 65_535 + 1
            message = self._under_way[self._packet_id] = self._waiting.popleft()
            self._write(self._packet_id, message)

    def _write(self, packet_id: int, message: _Message, *, dup: bool = False) -> None:
        assert self._device is not None
        if self._device.writer.is_closing():
            return  # it has just broken, and what is under way is sent again on the next
        if message.is_released:
            data = packet(_PUBREL, packet_id.to_bytes(2, "big"))
        else:
            data = publish(message.topic, message.payload, packet_id=packet_id, qos=self._qos, dup=dup)
        self._device.writer.write(data)


async def _next_packet(device: Device) -> tuple[int, bytes]:
    """A packet of two bytes' body, however long it takes."""
    first, length = await device.reader.readexactly(2)
    return first, await device.reader.readexactly(length)


class Load:
    """Devices at work: they measure until `stop`, and send until they have every answer."""

    def __init__(self, senders: Sequence[Sender], clock: Clock, every_s: float) -> None:
        self.senders = senders
        self._clock = clock
        self._every_s = every_s
        self._is_on = True

    @property
    def stamps(self) -> set[tuple[str, int]]:
        """Every message there is: its device and its event time."""
        return {(sender.name, stamp) for sender in self.senders for stamp in sender.stamps}

    @property
    def acknowledged(self) -> int:
        """Messages that have their last word."""
        return sum(sender.acknowledged for sender in self.senders)

    @property
    def unacknowledged(self) -> int:
        """Messages that have not."""
        return sum(sender.unacknowledged for sender in self.senders)

    @property
    def under_way(self) -> int:
        """Of these, those that were sent."""
        return sum(sender.under_way for sender in self.senders)

    def stop(self) -> None:
        """Nobody measures from here on."""
        self._is_on = False

    async def measure(self) -> None:
        """A message of each device at a time, but no heap of them while nobody takes them."""
        while self._is_on:
            for sender in self.senders:
                if sender.unacknowledged < _MOST_WAITING:
                    sender.measure(self._clock.now())
            await asyncio.sleep(self._every_s)


@contextlib.asynccontextmanager
async def sending(senders: Sequence[Sender], clock: Clock, every_s: float = 0.01) -> AsyncIterator[Load]:
    """Let these devices work while the block runs; at its end they hang up."""
    load = Load(senders, clock, every_s)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in (load.measure(), *(sender.run() for sender in senders))]
        yield load
        for task in tasks:
            task.cancel()
