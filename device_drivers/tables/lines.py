"""`kind = "lines"`: a device that answers short lines of text to short commands. It is asked, and never told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from device_drivers.contract import Decoded, Frame, FrameRefused, Layout, Row
from device_drivers.field_rows import Table, TableRow, Transport, own_words
from device_drivers.tables.checksums import Checksum
from device_drivers.tables.format import REASONS, AddressOption, Format, Mistake, Reason
from device_drivers.tables.templates import Template, compile_template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from device_drivers.contract import Connection, Driver, Settings
    from device_drivers.field_rows import FieldRow

ADDRESS: Final = "address"
"""The placeholder of a device's address, in what is sent and in what it answers."""
_LINE_ENDS: Final = "\r\n"
_ADDRESS_FORMS: Final = {"hex2": "02x", "int1": "d", "int2": "02d", "int3": "03d"}


class ReplyRow(TableRow):
    """What stands in one placeholder of a command's reply."""

    command: str
    part: str = ""
    """The placeholder; needed only where the reply has several."""


class Command(Table):
    """A question and its answer."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    send: str = ""
    """What is asked; nothing for a reply that comes unasked, or is understood and not asked for."""
    reply: str


class Refused(Table):
    """A reply that holds no measurement."""

    reply: str
    reason: Reason
    is_quiet: bool = Field(default=False, alias="quiet")
    """Whether healthy devices answer so to what does not fit them, or not now: then a round leaves it out."""


class LinesFormat(Format):
    """The `[format]` of text."""

    transports: ClassVar[frozenset[Transport]] = frozenset({Transport.SERIAL_POLL, Transport.TCP_POLL})
    kind: Literal["lines"]
    end: Annotated[str, Field(min_length=1, max_length=8)]
    """What every reply ends with; it stands in no template."""
    ignore_case: bool = False
    repeats: bool = False
    """Whether the device says the question again before it answers."""
    address: AddressOption | None = None
    checksum: Checksum | None = None
    """Of a whole reply with its end; it stands in no template of a reply."""
    command: tuple[Command, ...] = Field(min_length=1, strict=False)
    refuse: tuple[Refused, ...] = Field(default=(), strict=False)

    @field_validator("end")
    @classmethod
    def _is_latin(cls, end: str) -> str:
        if not end.isascii():
            raise ValueError("an end is ASCII")
        return end

    @model_validator(mode="after")
    def _templates_are_whole(self) -> Self:
        names: set[str] = set()
        for index, command in enumerate(self.command):
            if command.name in names:
                raise Mistake("another command has this name", "command", index, "name")
            names.add(command.name)
            self._check_template(command.reply, "command", index, "reply")
            if set(self._check_template(command.send, "command", index, "send").types) - {ADDRESS}:
                raise Mistake(f"{{{ADDRESS}}} is all that can be sent", "command", index, "send")
        for index, refused in enumerate(self.refuse):
            self._check_template(refused.reply, "refuse", index, "reply")
        return self

    def _check_template(self, text: str, *at: str | int) -> Template:
        """The template made ready. Raises `Mistake`."""
        try:
            template = self._compiled(text)
        except ValueError as error:
            raise Mistake(str(error), *at) from None
        if ADDRESS in template.types and (self.address is None or template.types[ADDRESS] not in _ADDRESS_FORMS):
            raise Mistake(f"{{{ADDRESS}}} needs format.address, and a type of {', '.join(_ADDRESS_FORMS)}", *at)
        return template

    def _compiled(self, text: str) -> Template:
        return compile_template(text, ignore_case=self.ignore_case)

    @property
    def options(self) -> frozenset[str]:
        """What a configuration may say in `options`."""
        return frozenset({ADDRESS} if self.address is not None else ())

    def check(self, rows: Sequence[FieldRow], transport: Transport, models: tuple[str, ...]) -> None:
        """What no single row can know. Raises ValueError."""
        super().check(rows, transport, models)
        types = {command.name: self._compiled(command.reply).types for command in self.command}
        for index, row in enumerate(rows):
            assert isinstance(row, ReplyRow)
            if row.command not in types:
                raise Mistake(f"there is no such command; there is: {', '.join(types)}", "field", index, "command")
            try:
                _part(row, types[row.command])
            except ValueError as error:
                raise Mistake(str(error), "field", index) from None

    def driver(self, rows: Sequence[FieldRow], transport: Transport, settings: Settings) -> Driver:  # noqa: ARG002 - alike
        """The driver for one device. Raises `ConfigurationError`."""
        stated = self.address.stated(settings) if self.address is not None else None
        own = [row for row in rows if isinstance(row, ReplyRow) and row.is_of(settings.model)]
        return Lines(self, own, stated)

    def exchange(self, command: Command, rows: Sequence[ReplyRow], address: int) -> Exchange:
        """A command made ready for the device of that address."""
        reply, asked = self._compiled(command.reply), self._compiled(command.send.strip(_LINE_ENDS))
        form = _ADDRESS_FORMS.get(asked.types.get(ADDRESS, ""), "")
        sent = command.send.replace(f"{{{ADDRESS}:{asked.types.get(ADDRESS)}}}", format(address, form) if form else "")
        own = [row for row in rows if row.command == command.name]
        readers = [(_part(row, reply.types), row, _reader(row, reply, ignore_case=self.ignore_case)) for row in own]
        return Exchange(command.name, sent.encode("latin-1"), asked, reply, tuple(readers))

    def refusals(self) -> list[tuple[Template, Reason, bool]]:
        """The replies that are refused, with the reason, and whether a round leaves them out."""
        return [(self._compiled(each.reply), each.reason, each.is_quiet) for each in self.refuse]


def _part(row: ReplyRow, types: dict[str, str]) -> str:
    """The placeholder that a row reads. Raises ValueError when it is not to be told."""
    parts = [name for name in types if name != ADDRESS]
    if row.part in parts:
        return row.part
    if row.part or len(parts) != 1:
        raise ValueError(f"it names no part of the reply; there is: {', '.join(parts) or 'none'}")
    if types[parts[0]] in ("word", "text") and not row.values and not own_words(row.entry):
        raise ValueError("it is a word, and no values say what it stands for")
    return parts[0]


def _reader(row: ReplyRow, template: Template, *, ignore_case: bool) -> Callable[[str], float | None]:
    """What makes a value of what stands in a placeholder; None where it has no such value."""
    number = template.number(_part(row, template.types))
    fold = str.casefold if ignore_case else str
    if row.values or number is None:
        words = {
            str(word) if not isinstance(word, bool) else str(word).lower(): value
            for word, value in (row.words or own_words(row.entry)).items()
        }
        folded = {fold(word): value for word, value in words.items()}
        return lambda text: folded.get(fold(text))
    factor, shift = row.linear
    return lambda text: number(text) * factor + shift


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command made ready."""

    name: str
    request: bytes
    asked: Template
    reply: Template
    readers: tuple[tuple[str, ReplyRow, Callable[[str], float | None]], ...]
    """Placeholder, row, and what reads it."""

    def read(self, parts: dict[str, str]) -> Decoded:
        """What a reply says. Raises `FrameRefused`."""
        columns: list[tuple[str, str]] = []
        values: list[float] = []
        for part, row, reader in self.readers:
            text = parts[part]
            if text in row.absent:
                continue
            value = reader(text)
            if value is None:
                raise FrameRefused("value", f"a value that {self.name} does not have")
            columns.append(row.column)
            values.append(value)
        if not self.readers:
            return Decoded((), (self.name,))
        return Decoded((Row(Layout.of(tuple(columns)), tuple(values)),) if values else ())


class Lines:
    """Asks a device its commands, and understands the replies."""

    def __init__(self, table: LinesFormat, rows: Sequence[ReplyRow], stated: int | None) -> None:
        """`stated` is None where nobody stated an address: then a reply may be of any."""
        usual = table.address.usual if table.address is not None else 0
        address = usual if stated is None else stated
        self._end = table.end.encode("ascii")
        self._stated = stated
        self._repeats = table.repeats
        self._exchanges = [table.exchange(command, rows, address) for command in table.command]
        self._refusals = table.refusals()
        self._check = table.checksum.checker() if table.checksum is not None else None
        self._trailer = table.checksum.size if table.checksum is not None else 0

    def decode(self, frame: Frame) -> Decoded:
        """Understand one reply. Raises `FrameRefused`."""
        text = self._text(frame.payload)
        for template, reason, _ in self._refusals:
            if template.match(text) is not None:
                raise FrameRefused(*REASONS[reason])
        for exchange in self._asked(frame.request):
            parts = exchange.reply.match(text)
            if parts is not None:
                self._check_address(exchange, parts)
                return exchange.read(parts)
        raise FrameRefused("unexpected", "no reply that this device has, or one to another command than the one asked")

    async def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        """Ask once for everything; yield each answer that holds something. Raises `DeviceFault`."""
        for exchange in self._exchanges:
            if not exchange.request:
                continue
            await connection.write(exchange.request)
            reply = await connection.read_until(self._end)
            if self._repeats and exchange.asked.match(reply.decode("latin-1").strip(_LINE_ENDS + ">")) is not None:
                reply = await connection.read_until(self._end)
            if self._check is not None and not self._check(reply) and self._check(reply + self._end):
                reply += await connection.read_exactly(len(self._end))  # the sum itself looked like the end
            if not self._is_quiet(reply):
                yield Frame(reply, request=exchange.request)

    def _text(self, payload: bytes) -> str:
        """What a reply says, without its sum and its end. Raises `FrameRefused`."""
        if self._check is not None:
            if not payload.endswith(self._end):
                raise FrameRefused("malformed", "the reply does not end as this format's replies do")
            if not self._check(payload):
                raise FrameRefused("checksum", "the reply's check sum is not that of its bytes")
            return payload[: -self._trailer - len(self._end)].decode("latin-1").strip(_LINE_ENDS + " ")
        return payload.removesuffix(self._end).decode("latin-1").strip(_LINE_ENDS + " ")

    def _asked(self, request: bytes) -> list[Exchange]:
        """What a reply may be to: the command that was asked, or what comes unasked; anything where none was."""
        if not request:
            return self._exchanges
        text = request.decode("latin-1").strip(_LINE_ENDS)
        if not any(each.request and each.asked.match(text) is not None for each in self._exchanges):
            return self._exchanges  # somebody else's question
        return [each for each in self._exchanges if not each.request or each.asked.match(text) is not None]

    def _check_address(self, exchange: Exchange, parts: dict[str, str]) -> None:
        if self._stated is None or ADDRESS not in parts:
            return
        base = 16 if exchange.reply.types[ADDRESS].startswith("hex") else 10
        if int(parts[ADDRESS], base) != self._stated:
            raise FrameRefused("unexpected", "a reply of another device")

    def _is_quiet(self, reply: bytes) -> bool:
        try:
            text = self._text(reply)
        except FrameRefused:
            return False
        return any(is_quiet and template.match(text) is not None for template, _, is_quiet in self._refusals)
