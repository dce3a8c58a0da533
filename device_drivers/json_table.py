"""Reads flat JSON objects by a manifest's field table: what a device that publishes JSON needs, and no code of its own.

JSON is RFC 8259, read leniently where Python does (`NaN`, the last of two like keys) and guarded where a device could
do harm: size, depth, numbers without end. A value of the wrong kind drops its field; the rest of the frame stands.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from device_drivers.contract import Decoded, FrameRefused, Layout, Measurement, Row
from device_drivers.field_rows import TableRow, own_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from device_drivers.field_rows import FieldRow

LARGEST_PAYLOAD: Final = 1 << 18
"""Bytes; the largest that zigbee2mqtt publishes for one device is a few thousand."""

MOST_PLANS: Final = 1024
"""Shapes of objects that a table remembers; when there are more, it begins anew."""
_Shape: TypeAlias = tuple[tuple[str, ...], tuple[type, ...]]
"""An object's keys, and the kinds of its values."""
_NUMBERS: Final = (int, float)
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of bytes that are no JSON; the second of a key that is not UTF-8."""
_decode: Final = msgspec.json.Decoder().decode
_TELLABLE: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_LARGEST: Final = sys.float_info.max


def parse(payload: bytes) -> Any:
    """The JSON value in `payload`. Raises `FrameRefused`."""
    if len(payload) > LARGEST_PAYLOAD:
        raise FrameRefused("too_large", f"a payload of more than {LARGEST_PAYLOAD} bytes")
    try:
        return _decode(payload)
    except _UNDECODABLE:
        pass
    try:  # what only Python's own reader takes: NaN and the infinities, which cost a field and not the frame
        return json.loads(payload.decode("utf-8"))
    except (ValueError, RecursionError):
        raise FrameRefused("malformed", "the payload is not JSON") from None


def parse_object(payload: bytes) -> dict[str, Any]:
    """The JSON object in `payload`. Raises `FrameRefused`."""
    try:
        document = _decode(payload) if len(payload) <= LARGEST_PAYLOAD else parse(payload)
    except _UNDECODABLE:
        document = parse(payload)  # which takes a little more, and says what it does not
    if not isinstance(document, dict):
        raise FrameRefused("malformed", "the payload is not a JSON object")
    return document


def tellable(name: str) -> str:
    """A field's name as it may be told: a name of a program's making, or `?`."""
    return name if _TELLABLE.fullmatch(name) else "?"


@dataclass(frozen=True, slots=True)
class Column:
    """A row of the field table, made ready."""

    quantity: str
    channel: str
    factor: float
    words: Mapping[str | bool, float] | None
    unless: str = ""
    shift: float = 0.0
    absent: frozenset[float | str] = frozenset()
    """Values that say, as null does, that nothing was measured."""

    @property
    def is_linear(self) -> bool:
        """Whether any finite number is a value, and nothing else is."""
        return self.words is None and not self.absent

    @classmethod
    def of(cls, row: FieldRow) -> Column:
        """Make a row ready."""
        factor, shift = row.linear
        absent = frozenset(row.absent) if isinstance(row, TableRow) else frozenset[float | str]()
        words = row.words or own_words(row.entry) or None
        return cls(row.quantity, row.channel, factor, words, row.unless, shift, absent)

    def number(self, value: object) -> float | None:
        """The value in the quantity's unit; None when there is none, or it is of the wrong kind, or not finite."""
        if self.is_absent(value):
            return None
        if self.words is not None:
            word = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
            return self.words.get(word) if isinstance(word, (str, bool)) else None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST:
            scaled = float(value) * self.factor + self.shift
            return scaled if -_LARGEST <= scaled <= _LARGEST else None
        return None

    def is_absent(self, value: object) -> bool:
        """Whether the value says that nothing was measured."""
        return bool(self.absent) and isinstance(value, (int, float, str)) and value in self.absent


class JsonTable:
    """The fields of one format, looked up by key."""

    def __init__(self, columns: Mapping[str, Column], envelope: Iterable[str] = ()) -> None:
        """`envelope` are the keys that say when and in which order, and are no fields."""
        self.columns = dict(columns)
        self.envelope = frozenset(envelope)
        self._plans: dict[_Shape, _Plan] = {}
        self._last_shape: _Shape = (), ()
        self._last_plan = _Plan([], (), is_linear=True)

    @classmethod
    def of(cls, rows: Iterable[FieldRow], envelope: Iterable[str] = ()) -> JsonTable:
        """Compile a manifest's field table."""
        return cls({row.key: Column.of(row) for row in rows}, envelope)

    def read(self, document: Mapping[str, Any], event_ms: int | None) -> Decoded:
        """What a whole object holds; a null says that nothing was measured."""
        values = tuple(document.values())
        shape = (tuple(document), tuple(map(type, values)))
        if shape == self._last_shape:  # as it mostly is, and quicker than a look-up
            plan = self._last_plan
        else:
            plan = self._last_plan = self._plans.get(shape) or self._new_plan(shape, document, values)
            self._last_shape = shape
        numbers = plan.numbers(values)
        if numbers is None:
            return _read_by_one(plan, values, event_ms)
        return Decoded((Row(plan.layout, numbers, event_ms),) if numbers else (), plan.dropped)

    def _new_plan(self, shape: _Shape, document: Mapping[str, Any], values: tuple[Any, ...]) -> _Plan:
        """Find the column of every key: it depends on the keys and on the kinds of their values, no more."""
        found: list[tuple[int, str, Column]] = []
        dropped: list[str] = []
        for index, (key, value) in enumerate(document.items()):
            if value is None or key in self.envelope:
                continue
            column = self.columns.get(key)
            if column is None or (column.unless and document.get(column.unless) is not None):
                dropped.append(tellable(key))
            else:
                found.append((index, tellable(key), column))
        is_linear = all(column.is_linear and type(values[index]) in _NUMBERS for index, _, column in found)
        if len(self._plans) >= MOST_PLANS:
            self._plans.clear()
        plan = self._plans[shape] = _Plan(found, tuple(dropped), is_linear=is_linear)
        return plan


class _Plan:
    """How objects with the same keys and kinds of values are read: worked out once."""

    __slots__ = ("_is_linear", "_pick", "_terms", "dropped", "found", "layout")

    def __init__(self, found: list[tuple[int, str, Column]], dropped: tuple[str, ...], *, is_linear: bool) -> None:
        self.found = found
        """Of each value that is a column's: its place among the values, its name, its column."""
        self.dropped = dropped
        self.layout = Layout.of(tuple((column.quantity, column.channel) for _, _, column in found))
        self._is_linear = is_linear
        terms = [(column.factor, column.shift) for _, _, column in found]
        self._terms = terms if set(terms) - {(1, 0)} else None
        """Factors and shifts; None where every number is taken as it is."""
        self._pick = _picker([index for index, _, _ in found])

    def numbers(self, values: tuple[Any, ...]) -> tuple[float, ...] | None:
        """Every value in its quantity's unit; None where one of them is no number of its quantity."""
        if self._is_linear:
            picked = self._pick(values)
            try:
                if self._terms is not None:
                    picked = tuple(
                        [value * factor + shift for value, (factor, shift) in zip(picked, self._terms, strict=True)]
                    )
                if isfinite(sum(picked)):
                    return picked
            except OverflowError:  # an integer that no float can hold
                pass
        numbers = tuple(column.number(values[index]) for index, _, column in self.found)
        return None if None in numbers else numbers  # type: ignore[return-value] # none of them is None


def _read_by_one(plan: _Plan, values: tuple[Any, ...], event_ms: int | None) -> Decoded:
    """Leave out the values that are no numbers of their quantity."""
    numbers = [(name, column, column.number(values[index])) for index, name, column in plan.found]
    measurements = [
        Measurement(column.quantity, number, column.channel, event_ms)
        for _, column, number in numbers
        if number is not None
    ]
    dropped = tuple(
        name
        for index, name, column in plan.found
        if column.number(values[index]) is None and not column.is_absent(values[index])
    )
    return Decoded.of(measurements, plan.dropped + dropped)


def _picker(indices: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Takes the values at these places out of a tuple."""
    if not indices:
        return lambda _values: ()
    if len(indices) == 1:
        (only,) = indices
        return lambda values: (values[only],)
    return itemgetter(*indices)
