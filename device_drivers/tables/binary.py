"""Numbers at fixed places among bytes: where they stand, and what reads them, planned when a table is loaded."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from device_drivers.contract import Decoded, Layout, Row
from device_drivers.field_rows import Table, TableRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

NumberType: TypeAlias = Literal["u8", "s8", "u16", "s16", "u24", "s24", "u32", "s32", "u64", "float32"]
Bits = Annotated[tuple[int, int], Field(strict=False)]
ByteOrder: TypeAlias = Literal["big", "little", "low_word_first"]
Raw: TypeAlias = tuple[Any, ...]
"""What one unpacking brings: an integer or a float for each slot, or bytes that are yet to be made one."""

_CODES: Final = {"u8": "B", "s8": "b", "u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "float32": "f"}
_SIZES: Final = {"u8": 1, "s8": 1, "u16": 2, "s16": 2, "u24": 3, "s24": 3, "u32": 4, "s32": 4, "u64": 8, "float32": 4}


class Place(Table):
    """Where a number stands, and how it is written."""

    at: Annotated[int, Field(ge=0, le=1023)]
    """Bytes from the beginning."""
    type: NumberType = "u8"
    byte_order: ByteOrder | None = None
    """The format's, where it is not stated. `low_word_first`: words of two bytes, big-endian, the low one first."""
    bits: Bits | None = None
    """The lowest and the highest bit that are meant, counted from the lowest of the number; all where none is named."""

    @model_validator(mode="after")
    def _has_its_bits(self) -> Self:
        _check_bits(self.type, self.bits)
        return self

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return _SIZES[self.type]

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.at + self.size


class Condition(Place):
    """A number that has to be one of these, or none of those."""

    is_one_of: tuple[int, ...] = Field(default=(), alias="is", strict=False)
    is_none_of: tuple[int, ...] = Field(default=(), alias="is_not", strict=False)

    @model_validator(mode="after")
    def _names_numbers(self) -> Self:
        if bool(self.is_one_of) == bool(self.is_none_of):
            raise ValueError("a condition names the numbers that it `is` one of, or those that it `is_not`")
        return self

    def holds(self, number: float) -> bool:
        """Whether that number meets it."""
        return number in self.is_one_of if self.is_one_of else number not in self.is_none_of


def _listed(conditions: object) -> object:
    return [conditions] if isinstance(conditions, dict) else conditions


Conditions = Annotated[tuple[Condition, ...], BeforeValidator(_listed), Field(strict=False)]
"""One condition, or a list of some."""


class BinaryRow(TableRow):
    """A field that is a number among bytes. Subclasses say where it stands."""

    type: NumberType = "u8"
    byte_order: ByteOrder | None = None
    bits: Bits | None = None
    when: Conditions = ()
    """The field is there only if each of these numbers is as it is asked for."""
    otherwise: float | str | None = None
    """What every number stands for that `values` do not have."""

    @model_validator(mode="after")
    def _is_of_numbers(self) -> Self:
        _check_bits(self.type, self.bits)
        for word in self.values:
            if not word.isdecimal():
                raise ValueError(f"values: {word!r} is no number, and the format has nothing else")
        if self.otherwise is not None and not self.values:
            raise ValueError("otherwise: there are no values")
        self.other()
        return self

    def other(self) -> float:
        """What `otherwise` stands for, as a number; NaN where every other number is none of the quantity's."""
        return math.nan if self.otherwise is None else self.meaning(self.otherwise)

    def placed(self, at: int) -> Located:
        """The row, read at that byte."""
        return Located(self, Place(at=at, type=self.type, byte_order=self.byte_order, bits=self.bits))


def _check_bits(kind: NumberType, bits: tuple[int, int] | None) -> None:
    if bits is not None and (kind[0] != "u" or not 0 <= bits[0] <= bits[1] < 8 * _SIZES[kind]):
        raise ValueError(f"bits are the lowest and the highest, and {kind} has no {bits[0]} to {bits[1]}")


class Slot(NamedTuple):
    """A number that is unpacked."""

    at: int
    type: str
    order: str

    @classmethod
    def of(cls, place: Place, order: ByteOrder) -> Slot:
        """The slot of a place in a format of that byte order."""
        return cls(place.at, place.type, place.byte_order or order)

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.at + _SIZES[self.type]

    @property
    def code(self) -> str:
        """Its code in `struct`; bytes where `struct` has no such number."""
        if self.order == "low_word_first" and self.end - self.at == 4:
            return "4s"
        return _CODES.get(self.type, "3s")

    @property
    def prefix(self) -> str:
        """Its byte order in `struct`."""
        return "<" if self.order == "little" else ">"

    @property
    def convert(self) -> Callable[[Any], int | float] | None:
        """What makes the bytes a number, where `struct` did not."""
        if self.code == "3s":
            order: Literal["big", "little"] = "little" if self.order == "little" else "big"
            return lambda data: int.from_bytes(data, order, signed=self.type == "s24")
        if self.code == "4s":
            (unpack,) = (struct.Struct(f">{_CODES[self.type]}").unpack,)
            return lambda data: unpack(data[2:] + data[:2])[0]
        return None


@dataclass(frozen=True, slots=True)
class Located:
    """A row with the place it is read from."""

    row: BinaryRow
    place: Place

    @property
    def end(self) -> int:
        """The first byte behind all that it needs."""
        return max(self.place.end, *(condition.end for condition in self.row.when), 0)


class Slots:
    """The slots of one table: each place is unpacked once, whatever reads it."""

    def __init__(self, wanted: Iterable[Slot]) -> None:
        passes: list[list[Slot]] = []
        for slot in sorted(set(wanted)):
            fitting = (p for p in passes if p[-1].prefix == slot.prefix and p[-1].end <= slot.at)
            found = next(fitting, None)
            if found is None:
                passes.append([slot])
            else:
                found.append(slot)
        self.index = {slot: number for number, slot in enumerate(chain.from_iterable(passes))}
        self.size = max((slot.end for slot in self.index), default=0)
        self.unpack = _unpacker([_struct(slots) for slots in passes])


def _struct(slots: Sequence[Slot]) -> struct.Struct:
    codes, position = [slots[0].prefix], 0
    for slot in slots:
        codes.append(f"{slot.at - position}x{slot.code}")
        position = slot.end
    return struct.Struct("".join(codes))


def _unpacker(structs: Sequence[struct.Struct]) -> Callable[[bytes, int], Raw]:
    if len(structs) == 1:
        return structs[0].unpack_from
    return lambda data, start: tuple(chain.from_iterable(each.unpack_from(data, start) for each in structs))


class BinaryTable:
    """Rows whose numbers stand at fixed places."""

    def __init__(self, rows: Sequence[Located], order: ByteOrder) -> None:
        places = [Slot.of(each.place, order) for each in rows]
        conditions = [Slot.of(condition, order) for each in rows for condition in each.row.when]
        self._slots = Slots([*places, *conditions])
        self.size = self._slots.size
        """Bytes that it reads."""
        self.columns = tuple(each.row.column for each in rows)
        self._keys = tuple(each.row.key for each in rows)
        self._layout = Layout.of(self.columns)
        self._terms = self._linear(rows, places)
        self._readers = [_reader(each, self._slots.index, order) for each in rows]

    def decode(self, data: bytes, start: int = 0) -> Decoded:
        """What the bytes from `start` on hold; there have to be `size` of them."""
        if self._terms is not None:
            raw = self._slots.unpack(data, start)
            return Decoded((Row(self._layout, tuple([raw[i] * factor + shift for i, factor, shift in self._terms])),))
        columns, values, dropped = self.measure(data, start)
        row = (Row(Layout.of(tuple(columns)), tuple(values)),) if values else ()
        return Decoded(row, tuple(dropped))

    def measure(self, data: bytes, start: int) -> tuple[list[tuple[str, str]], list[float], list[str]]:
        """Columns and values of what is there, and the keys of what is no number of its quantity."""
        raw = self._slots.unpack(data, start)
        columns: list[tuple[str, str]] = []
        values: list[float] = []
        dropped: list[str] = []
        for column, key, read in zip(self.columns, self._keys, self._readers, strict=True):
            value = read(raw)
            if value is None:
                continue
            if math.isfinite(value):
                columns.append(column)
                values.append(value)
            else:
                dropped.append(key)
        return columns, values, dropped

    def _linear(self, rows: Sequence[Located], places: Sequence[Slot]) -> tuple[tuple[int, float, float], ...] | None:
        """Index, factor and shift of each row, where every number there can be is a value; None elsewhere."""
        if not rows or not all(_is_linear(each, slot) for each, slot in zip(rows, places, strict=True)):
            return None
        return tuple((self._slots.index[slot], *each.row.linear) for each, slot in zip(rows, places, strict=True))


def _is_linear(each: Located, slot: Slot) -> bool:
    row = each.row
    may_be_no_number = slot.type == "float32" or slot.convert is not None
    return not (row.values or row.absent or row.when or each.place.bits or may_be_no_number)


def number_at(place: Place, order: ByteOrder, index: dict[Slot, int]) -> Callable[[Raw], int | float]:
    """What takes a place's number out of what was unpacked."""
    slot = Slot.of(place, order)
    number, convert = index[slot], slot.convert
    if place.bits is not None:
        low, mask = place.bits[0], (1 << place.bits[1] - place.bits[0] + 1) - 1
        if convert is not None:
            return lambda raw: int(convert(raw[number])) >> low & mask
        return lambda raw: raw[number] >> low & mask
    if convert is not None:
        return lambda raw: convert(raw[number])
    return lambda raw: raw[number]


def _reader(each: Located, index: dict[Slot, int], order: ByteOrder) -> Callable[[Raw], float | None]:
    """What gives a row's value: None where it is not there, NaN where it is none of its quantity's."""
    row = each.row
    number = number_at(each.place, order, index)
    read = _in_words(number, row) if row.values else _in_unit(number, *row.linear)
    if row.absent:
        whole = number_at(each.place.model_copy(update={"bits": None}), order, index)
        read = _unless(read, whole, frozenset(row.absent))
    for condition in row.when:
        told = number_at(condition, order, index)
        if condition.is_one_of:
            read = _only_if(read, told, frozenset(condition.is_one_of))
        else:
            read = _unless(read, told, frozenset(condition.is_none_of))
    return read


def _in_unit(number: Callable[[Raw], float], factor: float, shift: float) -> Callable[[Raw], float | None]:
    return lambda raw: number(raw) * factor + shift


def _in_words(number: Callable[[Raw], float], row: BinaryRow) -> Callable[[Raw], float | None]:
    words = {int(word): value for word, value in row.words.items()}
    other = row.other()
    return lambda raw: words.get(int(number(raw)), other)


def _unless(
    read: Callable[[Raw], float | None], number: Callable[[Raw], float], absent: frozenset[int] | frozenset[float | str]
) -> Callable[[Raw], float | None]:
    return lambda raw: None if number(raw) in absent else read(raw)


def _only_if(
    read: Callable[[Raw], float | None], number: Callable[[Raw], float], wanted: frozenset[int]
) -> Callable[[Raw], float | None]:
    return lambda raw: read(raw) if number(raw) in wanted else None
