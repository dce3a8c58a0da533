"""`kind = "readings"`: what a program of any language writes, one reading of the vocabulary in each line.

A line is an object with `quantity`, `value` and perhaps `channel` and `time_ms`; docs/vendors.md has its schema.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from device_drivers.contract import Decoded, FrameRefused, Layout, Row
from device_drivers.field_rows import TableRow, Transport
from device_drivers.json_table import Column, parse_object, tellable
from device_drivers.personal import is_personal, refuse_personal
from device_drivers.tables.format import Format
from telemetry import Summarise, quantities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_drivers.contract import Driver, Frame, Settings
    from device_drivers.field_rows import FieldRow

LONGEST_LINE: Final = 4096
"""Bytes, without the line feed."""
_KEYS: Final = frozenset(("quantity", "value", "channel", "time_ms"))
_DIGITS: Final[dict[str | bool, float]] = {"0": 0.0, "1": 1.0}
"""A flag as a number, besides true and false."""
_LATEST_MS: Final = 10**14


class ReadingRow(TableRow):
    """A quantity that the program tells of."""

    @model_validator(mode="after")
    def _is_its_quantity(self) -> Self:
        if self.key != self.quantity:
            raise ValueError("a reading names its quantity: key and quantity are the same")
        if self.channel:
            raise ValueError("a reading names its channel itself; list its words in driver.channels")
        return self


class ReadingsFormat(Format):
    """The `[format]` of readings in lines."""

    transports: ClassVar[frozenset[Transport]] = frozenset({Transport.EXEC})
    kind: Literal["readings"]
    command: tuple[str, ...] = Field(default=(), strict=False)
    """The program that comes with the driver and its arguments, relative to its folder; empty for one that the
    configuration names."""

    def driver(self, rows: Sequence[FieldRow], transport: Transport, settings: Settings) -> Driver:  # noqa: ARG002 - exec
        """The driver for one device."""
        own = [row for row in rows if isinstance(row, ReadingRow) and row.is_of(settings.model)]
        every = own if rows else [ReadingRow(key=entry.id, quantity=entry.id) for entry in quantities()]
        return Readings({row.key: _column(row) for row in every})


class Readings:
    """Reads the lines of one program."""

    def __init__(self, columns: dict[str, Column]) -> None:
        self._columns = columns

    def decode(self, frame: Frame) -> Decoded:
        """Understand one line. Raises `FrameRefused`."""
        if len(frame.payload) > LONGEST_LINE:
            raise FrameRefused("too_large", f"a line of more than {LONGEST_LINE} bytes")
        line = parse_object(frame.payload)
        refuse_personal(line, _KEYS)
        dropped = tuple(tellable(key) for key in line if key not in _KEYS)
        name, value = line.get("quantity"), line.get("value")
        if not isinstance(name, str) or "value" not in line:
            raise FrameRefused("malformed", "the line names no quantity, or no value")
        channel, event_ms = _channel(line), _moment(line)
        column = self._columns.get(name)
        if column is None:
            if is_personal(name):
                raise FrameRefused("personal", "the line tells of a person, which the contract forbids")
            return Decoded((), (*dropped, tellable(name)))
        if value is None or column.is_absent(value):
            return Decoded((), dropped)
        number = column.number(value)
        if number is None:
            return Decoded((), (*dropped, tellable(name)))
        return Decoded((Row(Layout.of(((column.quantity, channel),)), (number,), event_ms),), dropped)


def _column(row: ReadingRow) -> Column:
    column = Column.of(row)
    is_flag = row.entry.summarise is Summarise.FLAG and not row.values
    return replace(column, words={**(column.words or {}), **_DIGITS}) if is_flag else column


def _channel(line: dict[str, Any]) -> str:
    """The channel as text. Raises `FrameRefused`."""
    channel = line.get("channel")
    if channel is None:
        return ""
    if isinstance(channel, bool) or not isinstance(channel, (str, int)):
        raise FrameRefused("malformed", "a channel is text or a whole number")
    return str(channel)


def _moment(line: dict[str, Any]) -> int | None:
    """When it was measured. Raises `FrameRefused`."""
    moment = line.get("time_ms")
    if moment is None:
        return None
    if isinstance(moment, bool) or not isinstance(moment, int) or not 0 < moment < _LATEST_MS:
        raise FrameRefused("malformed", "time_ms is not whole milliseconds since 1970")
    return moment
