"""`kind = "entries"`: one entry behind the other, each with a header that says what its value is (TLV).

Where the header tells no length, an entry's length follows from the table alone: at the first that is not in it nothing
behind can be read, and what was read before it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from device_drivers.contract import Decoded, FrameRefused, Layout, Row
from device_drivers.field_rows import Transport
from device_drivers.tables.binary import BinaryRow, BinaryTable, ByteOrder
from device_drivers.tables.checksums import Checksum
from device_drivers.tables.format import Format, Mistake
from device_drivers.tables.hexadecimal import HexBytes
from device_drivers.tables.lorawan import PORT_OPTION, Lorawan, LorawanTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_drivers.contract import Driver, Frame, Settings
    from device_drivers.field_rows import FieldRow

LONGEST_VALUE: Final = 255
"""Bytes of an entry's value."""
LONGEST: Final = 1024
"""Bytes of a payload; LoRaWAN brings 242 at most."""


class EntryRow(BinaryRow):
    """A number of an entry's value, `at` so many bytes from its beginning; or what the network server says."""

    entry_id: HexBytes | None = Field(default=None, alias="entry")
    at: Annotated[int, Field(ge=0, lt=LONGEST_VALUE)] = 0
    server: Literal["signal_strength", "battery"] | None = None

    @model_validator(mode="after")
    def _stands_somewhere(self) -> Self:
        if (self.entry_id is None) == (self.server is None):
            raise ValueError("a field stands in an `entry`, or comes from the `server`")
        if self.server is not None and self.server != self.quantity:
            raise ValueError(f"the server's {self.server} is the quantity {self.server}")
        return self


def _ids(table: object) -> object:
    """The table with its keys as bytes."""
    if not isinstance(table, dict):
        return table
    try:
        return {bytes.fromhex(key): length for key, length in table.items()}
    except ValueError:
        raise ValueError('an entry is named in hexadecimal, as "03 67"') from None


class EntriesFormat(Format):
    """The `[format]` of entries."""

    transports: ClassVar[frozenset[Transport]] = frozenset({Transport.MQTT})
    kind: Literal["entries"]
    byte_order: ByteOrder = "big"
    header: Annotated[int, Field(ge=1, le=4)]
    """Bytes in front of each value."""
    channel_at: Annotated[int, Field(ge=0, le=3)] | None = None
    """The byte of the header that is the channel; the others name the entry."""
    length_at: Annotated[int, Field(ge=0, le=3)] | None = None
    """The byte of the header that says how long the value is; then an unknown entry is passed over."""
    skip: Annotated[int, Field(ge=0, le=LONGEST_VALUE)] = 0
    """Bytes in front of the first entry."""
    value_length: Annotated[int, Field(ge=1, le=LONGEST_VALUE)] | None = None
    """Bytes of every value; then an unknown entry is passed over."""
    checksum: Checksum | None = None
    """Of the whole payload, behind its last entry."""
    lengths: Annotated[dict[bytes, Annotated[int, Field(ge=0, le=LONGEST_VALUE)]], BeforeValidator(_ids)] = Field(
        default={}
    )
    """Bytes of the values of which nothing is read, or not all, by the entry."""
    personal: tuple[HexBytes, ...] = Field(default=(), strict=False)
    """Entries that tell of a person: the frame is refused."""
    lorawan: LorawanTable | None = None

    @property
    def options(self) -> frozenset[str]:
        """What a configuration may say in `options`."""
        return frozenset({PORT_OPTION} if self.lorawan is not None else ())

    def check(self, rows: Sequence[FieldRow], transport: Transport, models: tuple[str, ...]) -> None:
        """What no single row can know. Raises ValueError."""
        super().check(rows, transport, models)
        if self.checksum is not None and self.checksum.at != -self.checksum.size:
            raise Mistake("it stands at the end of the payload", "format", "checksum", "at")
        named = self.header - (self.channel_at is not None) - (self.length_at is not None)
        for entry_id in (*self.lengths, *self.personal):
            if len(entry_id) != named:
                raise Mistake(f"headers name an entry by {named} bytes, not as {entry_id.hex(' ').upper()!r}", "format")
        for index, row in enumerate(rows):
            assert isinstance(row, EntryRow)
            what = self._mistake(row, named)
            if what:
                raise Mistake(what, "field", index, "entry")

    def _mistake(self, row: EntryRow, named: int) -> str:
        """What cannot stand in a row, if anything."""
        if row.entry_id is None:
            return "" if self.lorawan is not None else "it comes from a server, and there is no format.lorawan"
        if len(row.entry_id) != named:
            return f"headers name an entry by {named} bytes, not as {row.entry_id.hex(' ').upper()!r}"
        end = row.placed(row.at).place.end
        is_inside = end <= self.lengths.get(row.entry_id, self.value_length or LONGEST_VALUE)
        return "" if is_inside else f"it ends at byte {end} of a value that is shorter"

    def driver(self, rows: Sequence[FieldRow], transport: Transport, settings: Settings) -> Driver:  # noqa: ARG002 - mqtt
        """The driver for one device. Raises `ConfigurationError`."""
        own = [row for row in rows if isinstance(row, EntryRow) and row.is_of(settings.model)]
        entries = Entries(self, own)
        if self.lorawan is None:
            return entries
        port = self.lorawan.port_of(settings)
        told = frozenset(row.server for row in own if row.server is not None)
        is_read = any(row.entry_id is not None for row in own)
        return Lorawan(entries.decode_bytes if is_read else None, port, told)


class Entries:
    """Reads the payloads of one model."""

    def __init__(self, table: EntriesFormat, rows: Sequence[EntryRow]) -> None:
        self._header, self._channel_at, self._length_at = table.header, table.channel_at, table.length_at
        self._named = [at for at in range(table.header) if at not in (table.channel_at, table.length_at)]
        self._personal = frozenset(table.personal)
        self._skip, self._value_length = table.skip, table.value_length
        self._is_whole = table.checksum.checker() if table.checksum is not None else None
        self._trailer = table.checksum.size if table.checksum is not None else 0
        by_id: dict[bytes, list[EntryRow]] = {entry_id: [] for entry_id in table.lengths}
        for row in rows:
            if row.entry_id is not None:
                by_id.setdefault(row.entry_id, []).append(row)
        self._tables = {
            entry_id: BinaryTable([row.placed(row.at) for row in own], table.byte_order)
            for entry_id, own in by_id.items()
        }
        sizes = {entry_id: table.value_length or each.size for entry_id, each in self._tables.items()}
        self._lengths = sizes | table.lengths

    def decode(self, frame: Frame) -> Decoded:
        """Understand one payload. Raises `FrameRefused`."""
        return self.decode_bytes(frame.payload)

    def decode_bytes(self, payload: bytes) -> Decoded:
        """Every entry up to the first whose length is unknown. Raises `FrameRefused` when one is cut off."""
        if len(payload) > LONGEST:
            raise FrameRefused("too_large", f"a payload of more than {LONGEST} bytes")
        if len(payload) < self._skip + self._trailer:
            raise FrameRefused("length", "the payload is too short to hold an entry")
        if self._is_whole is not None and not self._is_whole(payload):
            raise FrameRefused("checksum", "the payload's check sum is not that of its bytes")
        return self._entries(payload[self._skip : len(payload) - self._trailer])

    def _entries(self, payload: bytes) -> Decoded:
        columns: list[tuple[str, str]] = []
        values: list[float] = []
        dropped: list[str] = []
        position, header = 0, self._header
        while position < len(payload):
            head = payload[position : position + header]
            if len(head) < header:
                raise FrameRefused("length", "the payload ends within an entry")
            entry_id = self._id(head)
            if entry_id in self._personal:
                raise FrameRefused("personal", "the payload tells of a person")
            length = head[self._length_at] if self._length_at is not None else self._length_of(entry_id)
            if length is None:
                dropped.append(entry_id.hex())
                break
            position += header
            if position + length > len(payload):
                raise FrameRefused("length", "the payload ends within an entry")
            found = self._measure(entry_id, payload, position, length)
            if not found[0] and not found[2]:
                dropped.append(entry_id.hex())
            columns += (
                found[0] if self._channel_at is None else [(name, str(head[self._channel_at])) for name, _ in found[0]]
            )
            values += found[1]
            dropped += found[2]
            position += length
        last = dict(zip(columns, values, strict=True))  # of entries that say the same, the last
        row = (Row(Layout.of(tuple(last)), tuple(last.values())),) if last else ()
        return Decoded(row, tuple(dropped))

    def _length_of(self, entry_id: bytes) -> int | None:
        return self._lengths.get(entry_id, self._value_length)

    def _id(self, head: bytes) -> bytes:
        return head if len(self._named) == len(head) else bytes([head[at] for at in self._named])

    def _measure(
        self, entry_id: bytes, payload: bytes, position: int, length: int
    ) -> tuple[list[tuple[str, str]], list[float], list[str]]:
        table = self._tables.get(entry_id)
        if table is None or table.size == 0 or table.size > length:
            return [], [], []
        return table.measure(payload, position)
