"""`kind = "json"`: an object in each message; fields by key, or by the path to where they stand in it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from device_drivers.contract import Decoded, FrameRefused, Layout, Row
from device_drivers.field_rows import Table, TableRow, Transport
from device_drivers.json_table import Column, JsonTable, parse_object, tellable
from device_drivers.tables.format import Format, Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from device_drivers.contract import Driver, Frame, Settings
    from device_drivers.field_rows import FieldRow

EVERY: Final = "*"
"""In a path: every element of an array; its number, from 1, is the channel."""
MOST_ELEMENTS: Final = 32
"""Of one array that are read; those behind are dropped."""

_MOST_CHANNELS: Final = 1000
_LATEST_MS: Final = 10**14
_TO_MS: Final = {"ms": 1, "s": 1000}
_Tree: TypeAlias = "dict[str | int, _Tree | str]"
"""Where fields stand: by key or number, what is below, or the field's own key."""


class DocumentRow(TableRow):
    """A field of an object."""

    path: tuple[str | int, ...] = Field(default=(), strict=False)
    """Keys and numbers of elements, from the object inwards; the key alone where none is named."""

    @model_validator(mode="after")
    def _has_one_every(self) -> Self:
        if self.path and (self.path[0] == EVERY or self.path.count(EVERY) > 1):
            raise ValueError('a path has one "*" at most, and does not begin with it')
        if EVERY in self.path and self.channel:
            raise ValueError("the channel of every element is its number")
        if any(isinstance(part, int) and part < 0 for part in self.path):
            raise ValueError("elements are counted from 0")
        return self

    @property
    def steps(self) -> tuple[str | int, ...]:
        """The whole path."""
        return self.path or (self.key,)


class TimeAt(Table):
    """Where a message says when it was measured."""

    path: tuple[str | int, ...] = Field(min_length=1, strict=False)
    unit: Literal["ms", "s", "rfc3339"]
    """Since 1970, or as text with its offset from UTC."""
    is_needed: bool = Field(default=False, alias="needed")
    """Whether a message without it is refused; else the time of its arrival counts."""


class DocumentFormat(Format):
    """The `[format]` of JSON."""

    transports: ClassVar[frozenset[Transport]] = frozenset({Transport.MQTT})
    kind: Literal["json"]
    time: TimeAt | None = None
    require: dict[str, str | int | bool] = Field(default={})
    """What stands in every message that the table is for; another is refused as of another version."""
    ignore: tuple[str, ...] = Field(default=(), strict=False)
    """Keys that say when and in which order, and are no fields."""
    channel: str = ""
    """A key whose number is the channel of all fields that have none of their own; 0, the first, is no channel."""
    personal: tuple[str, ...] = Field(default=(), strict=False)
    """Keys, wherever they stand, that tell of a person: the message is refused."""

    def check(self, rows: Sequence[FieldRow], transport: Transport, models: tuple[str, ...]) -> None:
        """What no single row can know. Raises ValueError."""
        super().check(rows, transport, models)
        for model in models or ("",):
            tree: _Tree = {}
            for index, row in enumerate(rows):
                if isinstance(row, DocumentRow) and row.is_of(model) and not _planted(tree, row):
                    raise Mistake("it stands where another field does, or within one", "field", index, "path")

    def driver(self, rows: Sequence[FieldRow], transport: Transport, settings: Settings) -> Driver:  # noqa: ARG002 - mqtt
        """The driver for one device."""
        own = [row for row in rows if isinstance(row, DocumentRow) and row.is_of(settings.model)]
        return Documents(self, own)


class Documents:
    """Reads the messages of one model."""

    def __init__(self, table: DocumentFormat, rows: Sequence[DocumentRow]) -> None:
        envelope = {*table.ignore, *table.require} | ({table.channel} if table.channel else set())
        columns, tree = dict(_columns(rows)), _tree(rows)
        if table.time is not None:
            path = table.time.path if table.time.path[0] in tree else table.time.path[:1]
            envelope.add(".".join(map(str, path)))
        self._table = JsonTable(columns, envelope)
        self._flatten = _Flattener(tree, columns, envelope).flat
        self._require = tuple(table.require.items())
        self._personal = frozenset(key.casefold() for key in table.personal)
        self._event_ms = _event_reader(table.time)
        self._channel = table.channel
        self._layouts: dict[tuple[Layout, int], Layout] = {}

    def decode(self, frame: Frame) -> Decoded:
        """Understand one message. Raises `FrameRefused`."""
        return self.read(parse_object(frame.payload))

    def read(self, document: dict[str, Any]) -> Decoded:
        """What an object holds. Raises `FrameRefused`."""
        if self._personal and _has_key(document, self._personal):
            raise FrameRefused("personal", "the message tells of a person")
        for key, value in self._require:
            if document.get(key) != value or isinstance(document[key], bool) != isinstance(value, bool):
                raise FrameRefused("version", "the message is of another version of the format")
        event_ms = self._event_ms(document)
        decoded = self._table.read(self._flatten(document), event_ms)
        return self._on_channel(decoded, document.get(self._channel)) if self._channel else decoded

    def _on_channel(self, decoded: Decoded, number: object) -> Decoded:
        """What was read, on the channel that the message names, if it does."""
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < _MOST_CHANNELS:
            return decoded
        rows = [Row(self._layout(row.layout, number), row.values, row.event_ms) for row in decoded.rows]
        return Decoded(tuple(rows), decoded.dropped)

    def _layout(self, layout: Layout, number: int) -> Layout:
        found = self._layouts.get((layout, number))
        if found is None:
            found = Layout.of(tuple((name, channel or str(number)) for name, channel in layout.columns))
            if len(self._layouts) < _MOST_CHANNELS:
                self._layouts[layout, number] = found
        return found


def _columns(rows: Sequence[DocumentRow]) -> Iterator[tuple[str, Column]]:
    for row in rows:
        column = Column.of(row)
        if EVERY not in row.steps:
            yield row.key, column
            continue
        for number in range(1, MOST_ELEMENTS + 1):
            own = row.model_copy(update={"channel": str(number)})
            yield _numbered(row.key, number), Column.of(own)


def _numbered(key: str, number: int) -> str:
    return f"{key}.{number}"


def _tree(rows: Sequence[DocumentRow]) -> _Tree:
    """The rows by where they stand."""
    tree: _Tree = {}
    for row in rows:
        _planted(tree, row)
    return tree


def _planted(tree: _Tree, row: DocumentRow) -> bool:
    """Put a row into the tree; false where another row stands in its way."""
    here = tree
    for part in row.steps[:-1]:
        below = here.setdefault(part, {})
        if isinstance(below, str):
            return False
        here = below
    if row.steps[-1] in here:
        return False
    here[row.steps[-1]] = row.key
    return True


class _Flattener:
    """Brings every field of an object to its top, under its own key; what is no field gets a key that no field has."""

    def __init__(self, tree: _Tree, fields: Iterable[str], envelope: Iterable[str]) -> None:
        self._tree = tree
        self._fields = frozenset(fields)
        self._envelope = frozenset(envelope)
        self._is_flat = all(key == below for key, below in tree.items())

    def flat(self, document: dict[str, Any]) -> dict[str, Any]:
        """The fields of a message, and what else is in it, by name."""
        if self._is_flat:
            return document
        flat: dict[str, Any] = {}
        for key, value in document.items():
            if key in self._envelope:
                flat[key] = value
            else:
                self._put(self._tree.get(key), value, key, 0, flat)
        return flat

    def _put(self, below: _Tree | str | None, value: Any, name: str, number: int, flat: dict[str, Any]) -> None:
        """Put a value where its field is; `number` is that of the element that holds it, if one does."""
        if isinstance(below, str):
            flat[_numbered(below, number) if number else below] = value
        elif below is not None and isinstance(value, dict):
            for key, item in value.items():
                self._put(below.get(key), item, f"{name}.{tellable(key)}", number, flat)
        elif below is not None and isinstance(value, list):
            for index, item in enumerate(value[:MOST_ELEMENTS]):
                is_named = index in below
                inner = below[index] if is_named else below.get(EVERY)
                self._put(inner, item, f"{name}.{index}", number if is_named else index + 1, flat)
        else:
            flat[f"{name}?" if name in self._fields else name] = value


def _has_key(document: dict[str, Any], keys: frozenset[str]) -> bool:
    unseen: list[Any] = [document]
    while unseen:
        value = unseen.pop()
        if isinstance(value, list):
            unseen.extend(value)
        elif isinstance(value, dict):
            if any(key.casefold() in keys for key in value):
                return True
            unseen.extend(value.values())
    return False


def _event_reader(time: TimeAt | None) -> Callable[[Mapping[str, Any]], int | None]:
    """What reads the moment of a message, in epoch milliseconds."""
    if time is None:
        return lambda _document: None
    path, unit, is_needed = time.path, time.unit, time.is_needed

    def read(document: Mapping[str, Any]) -> int | None:
        event_ms = _moment(_value_at(document, path), unit)
        if event_ms is None and is_needed:
            raise FrameRefused("malformed", "the message does not say when it was measured")
        return event_ms

    return read


def _value_at(document: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            return None
    return document


def _moment(value: Any, unit: str) -> int | None:
    if unit == "rfc3339":
        return _read_text(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _LATEST_MS / _TO_MS[unit]:
        return None
    return round(value * _TO_MS[unit])


def _read_text(value: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    return round(moment.timestamp() * 1000)
