"""`kind = "frame"`: numbers at fixed places between a beginning and an end, streamed, asked for, or one a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from device_drivers.contract import Frame, FrameRefused
from device_drivers.field_rows import Table, Transport
from device_drivers.tables.binary import BinaryRow, BinaryTable, ByteOrder, Condition, Place, Slot, Slots, number_at
from device_drivers.tables.checksums import Checksum
from device_drivers.tables.format import REASONS, AddressOption, Format, Mistake, Reason
from device_drivers.tables.hexadecimal import HexBytes
from device_drivers.tables.lorawan import PORT_OPTION, Lorawan, LorawanTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from device_drivers.contract import Connection, Decoded, Driver, Settings
    from device_drivers.field_rows import FieldRow

LONGEST: Final = 1024
"""Bytes of a frame."""


class FrameRow(BinaryRow):
    """A number of the frame, `at` so many bytes from its beginning; or what the network server says of its sensor."""

    at: Annotated[int, Field(ge=0, lt=LONGEST)] | None = None
    server: Literal["signal_strength", "battery"] | None = None

    @model_validator(mode="after")
    def _stands_somewhere(self) -> Self:
        if (self.at is None) == (self.server is None):
            raise ValueError("a field stands `at` a byte, or comes from the `server`")
        if self.server is not None and self.server != self.quantity:
            raise ValueError(f"the server's {self.server} is the quantity {self.server}")
        return self


class LengthAt(Place):
    """A number in the frame that says how long it is."""

    plus: Annotated[int, Field(ge=0, lt=LONGEST)] = 0
    """Bytes that the number does not count."""


class Refusal(Table):
    """A frame that holds no measurement, and how it is known."""

    reason: Reason
    models: tuple[str, ...] = Field(default=(), strict=False)
    when: Condition | None = None
    """A number that is one of those named, or none of them."""
    all_bytes: tuple[int, int, int] | None = Field(default=None, strict=False)
    """From, to (not included; below zero, from the end), and what every byte between them is."""
    is_quiet: bool = Field(default=False, alias="quiet")
    """Whether healthy devices answer so to what does not fit them, or not now: then a round leaves it out."""

    @model_validator(mode="after")
    def _says_how(self) -> Self:
        if (self.when is None) == (self.all_bytes is None):
            raise ValueError("a refusal is known by `when` or by `all_bytes`")
        return self

    def check(self, order: ByteOrder) -> Callable[[bytes], bool]:
        """What says whether a frame is one of these."""
        if self.all_bytes is not None:
            first, to, byte = self.all_bytes
            return lambda frame: frame.count(byte, first, to) == len(frame[first:to]) > 0
        assert self.when is not None
        slots = Slots([Slot.of(self.when, order)])
        number, holds, size, unpack = (
            number_at(self.when, order, slots.index),
            self.when.holds,
            slots.size,
            slots.unpack,
        )
        return lambda frame: len(frame) >= size and holds(number(unpack(frame, 0)))


class Question(Table):
    """What a device is asked, as bytes."""

    send: HexBytes
    is_read: bool = Field(default=True, alias="read")
    """Whether fields stand in the answer; else it is heard and left out of the round."""


class Escape(Table):
    """How bytes that would look like the frame's end are written within it: a mark, then the byte, some bits turned."""

    mark: Annotated[int, Field(ge=0, le=255)]
    xor: Annotated[int, Field(ge=1, le=255)]

    def undone(self, frame: bytes) -> bytes:
        """The frame as it was before. Raises `FrameRefused`."""
        inner = bytearray()
        escaped = 0
        for byte in frame[1:-1]:
            if byte == self.mark and not escaped:
                escaped = self.xor
            else:
                inner.append(byte ^ escaped)
                escaped = 0
        if escaped:
            raise FrameRefused("malformed", "the frame ends within an escaped byte")
        return frame[:1] + bytes(inner) + frame[1:][-1:]


class FrameAddress(AddressOption):
    """The byte that is the device's address, in questions and in answers."""

    ask_at: Annotated[int, Field(ge=0, lt=LONGEST)]
    answer_at: Annotated[int, Field(ge=0, lt=LONGEST)]
    checksum: Checksum | None = None
    """The sum of a question, which another address changes."""

    def put_into(self, question: bytes, address: int) -> bytes:
        """The question to that address."""
        asked = question[: self.ask_at] + bytes([address]) + question[self.ask_at + 1 :]
        return self.checksum.renewed(asked) if self.checksum is not None else asked


class Variant(Table):
    """What is otherwise in the frames of some models."""

    models: tuple[str, ...] = Field(min_length=1, strict=False)
    start: HexBytes | None = None
    length: Annotated[int, Field(ge=1, le=LONGEST)] | LengthAt | None = None
    lorawan: LorawanTable | None = None


class FrameFormat(Format):
    """The `[format]` of fixed frames."""

    transports: ClassVar[frozenset[Transport]] = frozenset(Transport)
    kind: Literal["frame"]
    byte_order: ByteOrder = "big"
    start: HexBytes = b""
    end: HexBytes = b""
    length: Annotated[int, Field(ge=1, le=LONGEST)] | LengthAt | None = None
    """Bytes of a whole frame; without it a message may be longer than what is read of it."""
    escape: Escape | None = None
    """Between the first and the last byte; all places are those of the frame without it."""
    checksum: Checksum | None = None
    refuse: tuple[Refusal, ...] = Field(default=(), strict=False)
    poll: tuple[Question, ...] = Field(default=(), strict=False)
    address: FrameAddress | None = None
    variant: tuple[Variant, ...] = Field(default=(), strict=False)
    lorawan: LorawanTable | None = None

    @property
    def options(self) -> frozenset[str]:
        """What a configuration may say in `options`."""
        has_port = {PORT_OPTION} if self.lorawan is not None else set[str]()
        return frozenset(has_port | ({"address"} if self.address is not None else set()))

    def check(self, rows: Sequence[FieldRow], transport: Transport, models: tuple[str, ...]) -> None:
        """What no single row can know. Raises ValueError."""
        super().check(rows, transport, models)
        if bool(self.poll) != transport.is_polled:
            raise Mistake("it says what is asked, of a device that has to be asked and of no other", "format", "poll")
        if self.escape is not None and not (transport.is_polled and len(self.end) == 1):
            raise Mistake("it is of a device that is asked, and ends its frames with one byte", "format", "escape")
        if self.lorawan is not None and transport is not Transport.MQTT:
            raise Mistake("it is for the transport mqtt", "format", "lorawan")
        if self.address is not None and any(len(each.send) <= self.address.ask_at for each in self.poll):
            raise Mistake("it stands in no question", "format", "address", "ask_at")
        for model in models or ("",):
            self._check_model(rows, transport, model)

    def _check_model(self, rows: Sequence[FieldRow], transport: Transport, model: str) -> None:
        start, length = self._of(model)
        if transport is not Transport.MQTT and length is None:
            raise Mistake("it is missing: without it no frame has an end", "format", "length")
        if transport is Transport.SERIAL_STREAM and not start:
            raise Mistake("it is missing: without it no frame is found in a stream", "format", "start")
        for index, row in enumerate(rows):
            if not isinstance(row, FrameRow) or not row.is_of(model):
                continue
            end = row.placed(row.at or 0).place.end
            if isinstance(length, int) and row.at is not None and end > length:
                raise Mistake(f"it ends at byte {end}, and the frame has {length}", "field", index, "at")
            if row.server is not None and self.lorawan is None:
                raise Mistake("it comes from a server, and there is no format.lorawan", "field", index, "server")

    def driver(self, rows: Sequence[FieldRow], transport: Transport, settings: Settings) -> Driver:
        """The driver for one device. Raises `ConfigurationError`."""
        own = [row for row in rows if isinstance(row, FrameRow) and row.is_of(settings.model)]
        start, length = self._of(settings.model)
        frames = Frames(self, own, settings.model, start, length)
        if self.lorawan is not None:
            ports = [each.lorawan for each in self.variant if each.lorawan and settings.model in each.models]
            port = (*ports, self.lorawan)[0].port_of(settings)
            told = frozenset(row.server for row in own if row.server is not None)
            is_read = any(row.at is not None for row in own)
            return Lorawan(frames.decode_bytes if is_read else None, port, told)
        if transport is Transport.SERIAL_STREAM:
            return StreamedFrames(frames)
        return self._polled(frames, settings) if self.poll else frames

    def _polled(self, frames: Frames, settings: Settings) -> PolledFrames:
        if self.address is None:
            return PolledFrames(frames, [(each.send, each.is_read) for each in self.poll])
        stated = self.address.stated(settings)
        address = self.address.usual if stated is None else stated
        asked = [(self.address.put_into(each.send, address), each.is_read) for each in self.poll]
        return PolledFrames(frames, asked, None if stated is None else (self.address.answer_at, stated))

    def _of(self, model: str) -> tuple[bytes, int | LengthAt | None]:
        """How the frames of that model begin, and how long they are."""
        start, length = self.start, self.length
        for variant in self.variant:
            if model in variant.models:
                start = start if variant.start is None else variant.start
                length = length if variant.length is None else variant.length
        return start, length


class Frames:
    """Reads the frames of one model."""

    def __init__(
        self, table: FrameFormat, rows: Sequence[FrameRow], model: str, start: bytes, length: int | LengthAt | None
    ) -> None:
        self.start, self.end, self.escape = start, table.end, table.escape
        self._fixed = length if isinstance(length, int) else None
        self._variable = _length_reader(length, table.byte_order) if isinstance(length, LengthAt) else None
        self.before_length = self._fixed or (length.end if isinstance(length, LengthAt) else 0)
        """Bytes after which a frame's length is known."""
        self.is_whole = _whole(table.checksum)
        self._refusals = [
            (each.check(table.byte_order), each.reason, each.is_quiet)
            for each in table.refuse
            if not each.models or model in each.models
        ]
        self._rows = [row.placed(row.at) for row in rows if row.at is not None]
        self._order = table.byte_order
        self._trailer = len(table.end) + (table.checksum.size if table.checksum is not None else 0)
        self._table = BinaryTable(self._rows, table.byte_order)
        self._by_length: dict[int, BinaryTable] = {}
        """Of frames that say how long they are: what reads those of each length."""

    def length_of(self, begun: bytes | bytearray) -> int:
        """Bytes of the frame that begins so; there have to be `before_length` of them."""
        if self._variable is None:
            return self._fixed or len(begun)
        return self._variable(bytes(begun))

    def decode(self, frame: Frame) -> Decoded:
        """Understand one frame. Raises `FrameRefused`."""
        return self.decode_bytes(frame.payload)

    def decode_bytes(self, payload: bytes) -> Decoded:
        """Understand the bytes of one frame. Raises `FrameRefused`."""
        if self.escape is not None:
            payload = self.escape.undone(payload)
        if not payload.startswith(self.start):
            if len(payload) < len(self.start):
                raise FrameRefused("length", "the frame is too short to be one")
            raise FrameRefused("header", "the frame does not begin as this model's frames do")
        size = len(payload)
        if size < self.before_length or size != self.length_of(payload):
            raise FrameRefused("length", f"a frame of {size} bytes is too short or too long to be one")
        table = self._table if self._variable is None else self._table_of(size)
        if size < table.size:
            raise FrameRefused("length", f"a frame of {size} bytes is too short or too long to be one")
        if self.end and not payload.endswith(self.end):
            raise FrameRefused("malformed", "the frame does not end as this format's frames do")
        if not self.is_whole(payload):
            raise FrameRefused("checksum", "the frame's check sum is not that of its bytes")
        for holds, reason, _ in self._refusals:
            if holds(payload):
                raise FrameRefused(*REASONS[reason])
        return table.decode(payload)

    def is_quiet(self, payload: bytes) -> bool:
        """Whether a round leaves the answer out."""
        return any(is_quiet and holds(payload) for holds, _, is_quiet in self._refusals)

    def _table_of(self, size: int) -> BinaryTable:
        """The rows that a frame of that length has."""
        table = self._by_length.get(size)
        if table is None:
            fitting = [row for row in self._rows if row.end <= size - self._trailer]
            table = self._by_length[size] = BinaryTable(fitting, self._order)
        return table


def _whole(checksum: Checksum | None) -> Callable[[bytes], bool]:
    return checksum.checker() if checksum is not None else lambda _frame: True


def _length_reader(length: LengthAt, order: ByteOrder) -> Callable[[bytes], int]:
    slots = Slots([Slot.of(length, order)])
    number, unpack, plus = number_at(length, order, slots.index), slots.unpack, length.plus
    return lambda begun: min(int(number(unpack(begun, 0))) + plus, LONGEST)


class StreamedFrames:
    """Frames that come in a stream."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self.decode = frames.decode

    def split(self, buffer: bytearray) -> list[Frame]:
        """Take every whole frame out of `buffer`, and the bytes that can belong to none; leave the rest.

        A frame whose sum or end is wrong ends where the next one begins, so that a cut frame costs no other.
        """
        found: list[Frame] = []
        frames, start = self._frames, self._frames.start
        while True:
            begin = buffer.find(start)
            if begin < 0:
                del buffer[: len(buffer) - self._begun_at_the_end(buffer)]
                return found
            del buffer[:begin]
            if len(buffer) < frames.before_length or len(buffer) < (length := frames.length_of(buffer)):
                return found
            frame = bytes(buffer[: max(length, len(start))])
            if not (frame.endswith(frames.end) and frames.is_whole(frame)):
                frame = self._up_to_the_next(frame)
            found.append(Frame(frame))
            del buffer[: len(frame)]

    def _up_to_the_next(self, frame: bytes) -> bytes:
        inner = frame.find(self._frames.start, 1)
        return frame[:inner] if inner > 0 else frame[: len(frame) - self._begun_at_the_end(frame)]

    def _begun_at_the_end(self, data: bytes | bytearray) -> int:
        """How many bytes at the end of `data` may be the beginning of a frame."""
        start = self._frames.start
        for count in range(min(len(start) - 1, len(data)), 0, -1):
            if start.startswith(data[-count:]):
                return count
        return 0


class PolledFrames:
    """Frames that a device sends when it is asked."""

    def __init__(
        self, frames: Frames, questions: Sequence[tuple[bytes, bool]], whose: tuple[int, int] | None = None
    ) -> None:
        """Questions, and whether their answers are read.

        `whose` is the byte of an answer that is the device's address, and what stands there; None where any may.
        """
        self._frames = frames
        self._questions = tuple(questions)
        self._whose = whose

    def decode(self, frame: Frame) -> Decoded:
        """Understand one frame. Raises `FrameRefused`."""
        decoded = self._frames.decode(frame)
        if self._whose is not None and frame.payload[self._whose[0] :][:1] != bytes([self._whose[1]]):
            raise FrameRefused("unexpected", "an answer of another device")
        return decoded

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        """Ask once for everything; yield each answer. Raises `DeviceFault`."""
        for question, is_read in self._questions:
            await connection.write(question)
            answer = await self._answer(connection)
            if is_read and not self._frames.is_quiet(answer):
                yield Frame(answer, request=question)

    async def _answer(self, connection: Connection) -> bytes:
        """One frame as it comes. Raises `DeviceFault`."""
        frames = self._frames
        if frames.escape is not None:
            answer = await connection.read_until(frames.end)
            if len(answer) > 1:
                return answer
            return answer + await connection.read_until(frames.end)  # the byte that ends a frame begins it, too
        answer = await connection.read_exactly(frames.before_length)
        rest = frames.length_of(answer) - len(answer)
        return answer + (await connection.read_exactly(rest) if rest > 0 else b"")
