"""Summaries as InfluxDB v2 line protocol, the one text in which they travel.

    carbon_dioxide,building=a,device=co2-a-301,room=a-301,school=cn-002,window=900 mean=850,n=90i 1760000400000

Grammar: InfluxDB v2, "Line protocol reference". Ours is a strict subset: measurement and tags are codes, so
nothing is ever escaped; the tags are a closed set, written sorted; the fields are a closed set; measured fields
are floats with exactly the quantity's decimals, counts are integers (`90i`), so that a replay is bit-identical.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry.errors import ContractViolation
from telemetry.places import CHANNEL, CODE
from telemetry.summaries import (
    COUNT_FIELDS,
    FIELDS,
    FIELDS_OF,
    LONGEST_WINDOW_S,
    MEASURED_FIELDS,
    REQUIRED_OF,
    Series,
    Summary,
)
from telemetry.vocabulary import UnknownQuantity, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry.quantities import Quantity, Summarise

_REQUIRED: Final = ("building", "device", "room", "school", "window")
_TAGS: Final = frozenset((*_REQUIRED, "channel", "revision"))
_DIGITS: Final = 18
"""Most digits of a number: every integer fits 64 bits."""
_LONGEST_QUOTE: Final = 40
_MEASUREMENT: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_STAMP: Final = re.compile(r"0|[1-9][0-9]{0,13}")
"""Up to the year 5138: every calendar has a date for it."""
_COUNT: Final = re.compile(rf"(?:0|-?[1-9][0-9]{{0,{_DIGITS - 1}}})i")
_MEASURED: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.([0-9]+))?")


class LineProtocolError(ContractViolation):
    """A line outside the contract; `line` and `column` count from 1."""

    code = "line_protocol"

    def __init__(self, what: str, *, line: int, column: int) -> None:
        super().__init__(what, where=f"line {line}, column {column}")
        self.line = line
        self.column = column


class UnknownInLine(LineProtocolError):
    """A well-formed line whose quantity, tag, field or window the contract does not have."""

    code = "outside_contract"


class _Fault(Exception):
    """A fault inside a line, before the line's number is known; `outside` when it is well-formed."""

    def __init__(self, what: str, column: int, *, outside: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.column = column
        self.outside = outside


def encode_series(series: Series) -> str:
    """Measurement and tags of a line, the tags sorted as InfluxDB advises."""
    channel = f",channel={series.channel}" if series.channel else ""
    revision = f",revision={series.revision}" if series.revision else ""
    return (
        f"{series.quantity},building={series.building}{channel},device={series.device}"
        f"{revision},room={series.room},school={series.school},window={series.window_s}"
    )


def encode(summary: Summary) -> str:
    """One line, without its newline. Raises ValueError for a summary with no field, or one no line has."""
    return f"{encode_series(summary.series)} {encode_fields(summary)} {summary.start_ms}"


def encode_fields(summary: Summary) -> str:
    """The fields of a line. Raises ValueError for a summary with no field, or one no line has."""
    entry = quantity(summary.series.quantity)
    parts = [
        f"{name}={entry.to_text(summary.fields[name]) if name in MEASURED_FIELDS else f'{summary.fields[name]}i'}"
        for name in FIELDS
        if name in summary.fields
    ]
    if not parts or len(parts) != len(summary.fields) or not REQUIRED_OF[entry.summarise] <= summary.fields.keys():
        raise ValueError(f"a summary's fields are not those of a line: {sorted(summary.fields)}")
    return ",".join(parts)


def encode_all(summaries: Iterable[Summary]) -> bytes:
    """Lines joined by newlines, each ended by one."""
    return "".join(f"{encode(summary)}\n" for summary in summaries).encode("ascii")


def decode_all(body: bytes) -> list[Summary]:
    """Read every line of `body`.

    Raises `LineProtocolError` for the first line that is malformed, `UnknownInLine` for the first that is
    well-formed and outside the contract. Blank lines and comments are malformed: we write none.
    """
    return Decoder().decode(body)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How `encode` writes the fields of one kind of quantity: the quick way through `_parse_fields`."""

    names: tuple[str, ...]
    pattern: re.Pattern[str]
    is_whole: bool
    """Whether every field has to be there."""

    def read(self, text: str) -> dict[str, int] | None:
        """The fields; None when the text needs the careful way."""
        match = self.pattern.fullmatch(text)
        if match is None or not text or "=-0" in text or (self.is_whole and None in match.groups()):
            return None
        return {
            name: int(number.replace(".", ""))
            for name, number in zip(self.names, match.groups(), strict=True)
            if number is not None
        }


@functools.cache
def _layout(kind: Summarise, decimals: int) -> _Layout:
    names = tuple(name for name in FIELDS if name in FIELDS_OF[kind])
    whole = rf"-?(?:0|[1-9][0-9]{{0,{_DIGITS - decimals - 1}}})"
    measured = rf"({whole}\.[0-9]{{{decimals}}})" if decimals else f"({whole})"
    count = rf"(0|-?[1-9][0-9]{{0,{_DIGITS - 1}}})i"
    fields = [rf"(?:{name}={measured if name in MEASURED_FIELDS else count}(?:,|\Z))?" for name in names]
    return _Layout(names, re.compile("".join(fields) + "(?<!,)"), bool(REQUIRED_OF[kind]))


class Decoder:
    """Reads lines; remembers the series it has seen, since batches repeat them."""

    def __init__(self, *, remember: int = 100_000) -> None:
        self._remember = remember
        self._series: dict[str, tuple[Series, Quantity, _Layout]] = {}

    def decode(self, body: bytes) -> list[Summary]:
        """As `decode_all`."""
        try:
            text = body.decode("ascii")
        except UnicodeDecodeError as error:
            before = body[: error.start].split(b"\n")
            raise LineProtocolError("a byte outside ASCII", line=len(before), column=len(before[-1]) + 1) from None
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        summaries = []
        for number, line in enumerate(lines, start=1):
            try:
                summaries.append(self._line(line))
            except _Fault as fault:
                kind = UnknownInLine if fault.outside else LineProtocolError
                raise kind(fault.what, line=number, column=fault.column) from None
        return summaries

    def _line(self, line: str) -> Summary:
        parts = line.split(" ")
        if len(parts) != 3:
            raise _Fault("a line is: series, one space, fields, one space, timestamp", 1)
        head, fields_text, stamp = parts
        known = self._series.get(head) or self._learn(head)
        series, entry, layout = known
        fields = layout.read(fields_text) or _parse_fields(fields_text, entry, len(head) + 2)
        if _STAMP.fullmatch(stamp) is None:
            raise _Fault("the timestamp is not milliseconds since 1970", len(head) + len(fields_text) + 3)
        return Summary(series, int(stamp), fields)

    def _learn(self, head: str) -> tuple[Series, Quantity, _Layout]:
        series, entry = _parse_head(head)
        known = series, entry, _layout(entry.summarise, entry.decimals)
        if len(self._series) < self._remember:
            self._series[head] = known
        return known


def _parse_head(head: str) -> tuple[Series, Quantity]:
    measurement, *pairs = head.split(",")
    if _MEASUREMENT.fullmatch(measurement) is None:
        raise _Fault(f"{_short(measurement)} is not the name of a quantity", 1)
    try:
        entry = quantity(measurement)
    except UnknownQuantity as error:
        raise _Fault(error.what, 1, outside=True) from None
    tags: dict[str, str] = {}
    column = len(measurement) + 2
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise _Fault(f"{_short(pair)} is not tag=value", column)
        if name in tags:
            raise _Fault(f"tag {name!r} stands twice", column)
        if name not in _TAGS:
            raise _Fault(f"tag {_short(name)} is not in the contract", column, outside=True)
        _check_tag(name, value, column + len(name) + 1)
        tags[name] = value
        column += len(pair) + 1
    for name in _REQUIRED:
        if name not in tags:
            raise _Fault(f"tag {name!r} is missing", 1, outside=True)
    series = Series(
        quantity=measurement,
        school=tags["school"],
        building=tags["building"],
        room=tags["room"],
        device=tags["device"],
        window_s=int(tags["window"]),
        channel=tags.get("channel", ""),
        revision=int(tags.get("revision", "0")),
    )
    return series, entry


def _check_tag(name: str, value: str, column: int) -> None:
    if name in ("window", "revision"):
        if _NUMBER.fullmatch(value) is None:
            raise _Fault(f"tag {name!r} is not a number: {_short(value)}", column)
        if int(value) < 1 or (name == "window" and int(value) > LONGEST_WINDOW_S):
            raise _Fault(f"{name} {value} is out of range", column, outside=True)
    elif (CHANNEL if name == "channel" else CODE).fullmatch(value) is None:
        raise _Fault(f"tag {name!r} is not a code: {_short(value)}", column)


def _parse_fields(text: str, entry: Quantity, column: int) -> dict[str, int]:
    """The careful way: any order of fields, and where exactly the first fault is."""
    fields: dict[str, int] = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise _Fault(f"{_short(pair)} is not field=value", column)
        if name in fields:
            raise _Fault(f"field {name!r} stands twice", column)
        if name not in FIELDS_OF[entry.summarise]:
            raise _Fault(f"field {_short(name)} is not in the contract for {entry.id}", column, outside=True)
        parse = _parse_count if name in COUNT_FIELDS else _parse_measured
        fields[name] = parse(name, value, entry, column + len(name) + 1)
        column += len(pair) + 1
    for name in sorted(REQUIRED_OF[entry.summarise] - fields.keys()):
        raise _Fault(f"{entry.id} is not told without its {name}", column - len(text) - 1, outside=True)
    return fields


def _parse_count(name: str, value: str, _entry: Quantity, column: int) -> int:
    if _COUNT.fullmatch(value) is None:
        raise _Fault(f"field {name!r} is not an integer such as 90i: {_short(value)}", column)
    return int(value[:-1])


def _parse_measured(name: str, value: str, entry: Quantity, column: int) -> int:
    match = _MEASURED.fullmatch(value)
    if match is None:
        raise _Fault(f"field {name!r} is not a decimal number: {_short(value)}", column)
    decimals = len(match.group(1) or "")
    if decimals != entry.decimals:
        raise _Fault(f"{entry.id} is written with {entry.decimals} decimals, not {decimals}", column)
    digits = value.replace(".", "").removeprefix("-")
    if len(digits) > _DIGITS:
        raise _Fault(f"field {name!r} has more than {_DIGITS} digits", column)
    if value.startswith("-") and not digits.strip("0"):
        raise _Fault("zero has no sign", column)
    return -int(digits) if value.startswith("-") else int(digits)


def _short(text: str) -> str:
    """What an error quotes of a sender's bytes: enough to find them."""
    return repr(text) if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]!r}..."
