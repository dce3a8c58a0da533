"""`kind = "registers"`: Modbus. Each block of registers is asked for, and read by the rows of the device's model.

Source: Modbus Organization, "MODBUS Application Protocol Specification" V1.1b3, sections 6.3, 6.4 and 7, and "MODBUS
over Serial Line" V1.02, section 2.5.1. It reads, with functions 3 and 4; it can write no register. Its
frames are those of RTU; over Modbus TCP the connection (`modbus_tcp.py`) carries them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Field

from device_drivers.contract import Decoded, Frame, FrameRefused
from device_drivers.field_rows import Table, Transport
from device_drivers.line_faults import DeviceSilent
from device_drivers.tables.binary import BinaryRow, BinaryTable
from device_drivers.tables.checksums import crc16_modbus
from device_drivers.tables.format import Format, Mistake, address_option
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from device_drivers.contract import Connection, Driver, Settings
    from device_drivers.field_rows import FieldRow

MOST_REGISTERS: Final = 125
"""In one answer, by section 6.3; many devices give fewer."""

Word = Annotated[int, Field(ge=0, le=0xFFFF)]

_FAILED: Final = 0x80
_HEADER: Final = 3
_CHECK_SUM: Final = 2
_FUNCTIONS: Final = (3, 4)
_ASKED: Final = struct.Struct(">BBHH")
_EXCEPTIONS: Final = {
    1: ("undefined_command", "the device does not know this function"),
    2: ("out_of_parameter", "the device does not have these registers"),
    3: ("out_of_parameter", "the device does not give so many registers at once"),
    6: ("unavailable", "the device is busy"),
    10: ("unavailable", "the gateway has no way to the device"),
    11: ("unavailable", "the device does not answer the gateway"),
}
_OF_GATEWAYS: Final = (10, 11)
"""What a gateway says in the place of a device that is not there."""
_FAILURE: Final = ("device_error", "the device reports its own failure")


class RegisterRow(BinaryRow):
    """A value of one register or two."""

    register_number: Word = Field(alias="register")
    """The address on the wire, counted from 0; manuals that count from 1, or from 30001, name it otherwise."""
    function: Literal[3, 4] | None = None
    """Needed only where a model has the same register in blocks of both."""


class Block(Table):
    """Registers that are asked for together."""

    models: tuple[str, ...] = Field(default=(), strict=False)
    function: Literal[3, 4]
    """3 reads holding registers, 4 input registers."""
    start: Word
    count: Annotated[int, Field(ge=1, le=MOST_REGISTERS)]

    def holds(self, row: RegisterRow) -> bool:
        """Whether the row's registers lie in the block."""
        last = row.register_number + (row.placed(0).place.size + 1) // 2 - 1
        is_inside = self.start <= row.register_number and last < self.start + self.count
        return is_inside and row.function in (None, self.function)


class FactoryAddress(Table):
    """The address that new devices of some models answer to."""

    models: tuple[str, ...] = Field(min_length=1, strict=False)
    address: Annotated[int, Field(ge=1, le=247)]


class RegistersFormat(Format):
    """The `[format]` of Modbus."""

    transports: ClassVar[frozenset[Transport]] = frozenset({Transport.SERIAL_POLL, Transport.TCP_POLL})
    is_for_all: ClassVar[bool] = True
    kind: Literal["registers"]
    address: Annotated[int, Field(ge=1, le=247)] = 1
    """The address that a new device answers to, asked where the configuration states none."""
    other_address: tuple[FactoryAddress, ...] = Field(default=(), strict=False)
    block: tuple[Block, ...] = Field(min_length=1, strict=False)

    @property
    def options(self) -> frozenset[str]:
        """What a configuration may say in `options`."""
        return frozenset({"address", "crc"})

    def check(self, rows: Sequence[FieldRow], transport: Transport, models: tuple[str, ...]) -> None:
        """What no single row can know. Raises ValueError."""
        super().check(rows, transport, models)
        for model in models or ("",):
            blocks = self._blocks(model)
            for index, row in enumerate(rows):
                if isinstance(row, RegisterRow) and row.is_of(model):
                    _check_row(row, index, blocks)

    def _blocks(self, model: str) -> list[Block]:
        return [block for block in self.block if not block.models or model in block.models]

    def driver(self, rows: Sequence[FieldRow], transport: Transport, settings: Settings) -> Driver:  # noqa: ARG002 - one for all
        """The driver for one device. Raises `ConfigurationError`."""
        stated = address_option(settings, 0, 255)
        has_check_sum = settings.options.get("crc", True)
        if not isinstance(has_check_sum, bool):
            fix = "write true, or false where a converter takes it off"
            raise ConfigurationError(f"crc is {has_check_sum!r}", fix=fix)
        usual = next((each.address for each in self.other_address if settings.model in each.models), self.address)
        own = [row for row in rows if isinstance(row, RegisterRow) and row.is_of(settings.model)]
        blocks = [_Block.of(block, own) for block in self._blocks(settings.model)]
        return Registers(blocks, stated, usual, has_check_sum=has_check_sum)


def _check_row(row: RegisterRow, index: int, blocks: Sequence[Block]) -> None:
    holding = [block for block in blocks if block.holds(row)]
    if len(holding) != 1:
        how = "lies in no block" if not holding else "lies in two blocks: state its function"
        raise Mistake(f"register {row.register_number} {how}", "field", index, "register")
    if row.when:
        raise Mistake("it is not for registers", "field", index, "when")


@dataclass(frozen=True, slots=True)
class _Block:
    """A block, and what reads its answer."""

    function: int
    start: int
    count: int
    table: BinaryTable

    @classmethod
    def of(cls, block: Block, rows: Sequence[RegisterRow]) -> _Block:
        placed = [row.placed(2 * (row.register_number - block.start)) for row in rows if block.holds(row)]
        return cls(block.function, block.start, block.count, BinaryTable(placed, "big"))


class Registers:
    """Asks one device for its blocks, and understands the answers."""

    def __init__(self, blocks: Sequence[_Block], stated: int | None, usual: int, *, has_check_sum: bool) -> None:
        """`stated` is None where nobody stated an address: the usual one is asked, and an answer may be any's."""
        self._blocks = blocks
        self._stated = stated
        self._address = usual if stated is None else stated
        self._trailer = _CHECK_SUM if has_check_sum else 0

    def decode(self, frame: Frame) -> Decoded:
        """Understand one answer. Raises `FrameRefused`."""
        payload = frame.payload
        count = self._open(payload)
        if frame.request:
            unit, function, start, asked = _ASKED.unpack_from(frame.request)
            if (payload[0], payload[1], count) != (unit, function, asked):
                raise FrameRefused("unexpected", "an answer to another question, or of another device")
            blocks = [block for block in self._blocks if (block.function, block.start) == (function, start)]
        else:
            if self._stated not in (None, payload[0]):
                raise FrameRefused("unexpected", "an answer of another device")
            blocks = [block for block in self._blocks if (block.function, block.count) == (payload[1], count)]
        if len(blocks) != 1:
            return Decoded((), tuple(f"register-{number}" for number in range(count)))
        return blocks[0].table.decode(payload, _HEADER)

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        """Ask for every block; yield each answer. Raises `DeviceFault`, as when a gateway says that there is none."""
        if not self._blocks:
            raise FrameRefused("no_table", "no register table: name one of the driver's models")
        for block in self._blocks:
            body = _ASKED.pack(self._address, block.function, block.start, block.count)
            request = body + crc16_modbus(body).to_bytes(_CHECK_SUM, "little")
            await connection.write(request)
            header = await connection.read_exactly(_HEADER)
            has_failed = bool(header[1] & _FAILED)
            answer = header + await connection.read_exactly((0 if has_failed else header[2]) + self._trailer)
            if has_failed and header[2] in _OF_GATEWAYS:
                raise DeviceSilent(_EXCEPTIONS[header[2]][1])
            yield Frame(answer, request=request)

    def _open(self, payload: bytes) -> int:
        """How many registers a whole answer holds. Raises `FrameRefused`."""
        if len(payload) < _HEADER + self._trailer:
            raise FrameRefused("length", "the answer is too short to be one")
        failed = bool(payload[1] & _FAILED)
        expected = _HEADER + (0 if failed else payload[2]) + self._trailer
        if len(payload) != expected:
            raise FrameRefused("length", f"the answer is {len(payload)} bytes long, not {expected}")
        if self._trailer and crc16_modbus(payload[:-_CHECK_SUM]) != int.from_bytes(payload[-_CHECK_SUM:], "little"):
            raise FrameRefused("checksum", "the answer's check sum is not that of its bytes")
        if failed:
            raise FrameRefused(*_EXCEPTIONS.get(payload[2], _FAILURE))
        if payload[1] not in _FUNCTIONS or payload[2] % 2:
            raise FrameRefused("unexpected", "an answer that holds no registers")
        return payload[2] // 2
