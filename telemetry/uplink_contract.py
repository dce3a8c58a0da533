"""What passes between an agent and a centre besides the lines themselves: identity, seal, limits, report.

A batch is sealed once: its body is gzip (RFC 1952) with no time in it, padded by an extra field to a whole
number of 4 KiB, so that the same summaries are always the same bytes and the size tells nothing of them. Each
batch is chained to the one before by SHA-256; the chain is the egress ledger.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from telemetry.errors import ContractViolation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from telemetry.summaries import Summary

WRITE_PATH: Final = "/api/v2/write"
REPORT_PATH: Final = "/api/v1/agent-report"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
APPLIED_HEADER: Final = "Bansui-Applied"
HEAD_HEADER: Final = "Bansui-Ledger-Head"
TOLD_HEADER: Final = "Bansui-Told"
PADDING: Final = 4096
LARGEST_BODY: Final = 1 << 20
"""Bytes of a sealed body; a centre answers 413 to a larger one."""
LARGEST_TEXT: Final = 8 << 20
"""Bytes of the text inside; a centre answers 413 to a body that unpacks to more."""
MOST_LINES: Final = 5000
GENESIS: Final = bytes(32)
"""The chain's value before the first batch of an epoch."""

_BATCH_ID: Final = re.compile(r"([0-9a-f]{16})-(0|[1-9][0-9]{0,17})")
_TOLD: Final = re.compile(r"(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})")
_HEADER: Final = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x02\xff"  # deflate, FEXTRA, no time, best, unknown system
_OVERHEAD: Final = len(_HEADER) + 2 + 4 + 8  # XLEN, one subfield's header, CRC-32 and size


class MalformedBatch(ContractViolation):
    """A body or an identity that no agent of ours would send."""

    code = "malformed_batch"


class BatchTooLarge(ContractViolation):
    """A body, or the text inside it, over the contract's limit."""

    code = "batch_too_large"


@dataclass(frozen=True, slots=True, order=True)
class BatchId:
    """Identity of a batch for good: the database it was sealed in, and its number there, from 1."""

    epoch: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.sequence}"

    @classmethod
    def parse(cls, text: str, least: int = 1) -> BatchId:
        """Read `<16 hex digits>-<number>`. Raises `MalformedBatch`.

        As a mark, the number may be 0: nothing of the epoch is there yet.
        """
        match = _BATCH_ID.fullmatch(text)
        if match is None or int(match.group(2)) < least:
            raise MalformedBatch(f"{text!r} is not <epoch>-<sequence>")
        return cls(match.group(1), int(match.group(2)))


@dataclass(frozen=True, slots=True)
class Told:
    """Which windows a centre was told: from the start of the earliest to the end of the latest, in milliseconds.

    A centre that answers 409 because a batch's number is taken says so of what the agent's other copy sent under that
    number and since; `0-0` when no windows were in it.
    """

    from_ms: int
    to_ms: int

    def __str__(self) -> str:
        return f"{self.from_ms}-{self.to_ms}"

    @classmethod
    def parse(cls, text: str) -> Told:
        """Read `<from>-<to>`. Raises `MalformedBatch`."""
        match = _TOLD.fullmatch(text)
        if match is None or int(match.group(1)) > int(match.group(2)):
            raise MalformedBatch(f"{text!r} is not <from>-<to> in milliseconds")
        return cls(int(match.group(1)), int(match.group(2)))

    @classmethod
    def of(cls, summaries: Sequence[Summary]) -> Told | None:
        """What these span; None where there are none."""
        if not summaries:
            return None
        return cls(min(each.start_ms for each in summaries), max(each.end_ms for each in summaries))


def chain(previous: bytes, body: bytes) -> bytes:
    """The ledger's head after `body`: SHA-256 over the head before it and the body's SHA-256."""
    return link(previous, hashlib.sha256(body).digest())


def link(previous: bytes, digest: bytes) -> bytes:
    """As `chain`, for a body of which only the SHA-256 is left."""
    return hashlib.sha256(previous + digest).digest()


def seal(text: bytes) -> bytes:
    """Pack `text` into the exact bytes that travel."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = packer.compress(text) + packer.flush()
    fill = -(len(deflated) + _OVERHEAD) % PADDING
    extra = b"BS" + struct.pack("<H", fill) + bytes(fill)
    tail = struct.pack("<II", zlib.crc32(text), len(text) & 0xFFFFFFFF)
    return _HEADER + struct.pack("<H", len(extra)) + extra + deflated + tail


def unseal(body: bytes, *, largest: int = LARGEST_TEXT) -> bytes:
    """Unpack a body without ever holding more than `largest` bytes. Raises `MalformedBatch`, `BatchTooLarge`."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unpacker.decompress(body, largest + 1)
    except zlib.error as error:
        raise MalformedBatch(f"the body is not gzip: {error}") from None
    if len(text) > largest:
        raise BatchTooLarge(f"the body unpacks to more than {largest} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedBatch("the gzip body is cut short or has bytes after it")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """An agent's own state, in numbers alone: the balance in readings, the buffer, the clock, the versions.

    Conservation: received = admitted + rejected + duplicate;
    admitted = summarised + open + late + gap + withheld: of readings, told on the agent's machine alone, and 0 in what
    leaves, since arrivals count people.
    summaries = acknowledged + waiting + merged + fork + refused + damaged.
    """

    time_ms: int
    received: int
    admitted: int
    rejected: int
    duplicate: int
    summarised: int
    open: int
    late: int
    gap: int
    withheld: int
    summaries: int
    acknowledged: int
    waiting: int
    merged: int
    fork: int
    refused: int
    stored_minutes: int
    """Age of the oldest summary the centre has not yet acknowledged."""
    room_minutes: int
    """How much longer the agent could store at the present rate."""
    clock_offset_ms: int
    version: int
    """The agent's version as major * 10000 + minor * 100 + patch."""
    configuration_hash: int
    """The first 48 bits of the SHA-256 of the configuration in force."""
    certificate_days: int
    """Days until the uplink's certificate expires; -1 where there is none."""
    damaged: int = 0
    """Summaries that a damaged disk has lost."""
    restamped: int = 0
    """Rows of readings whose device stated a time that could not be believed."""
    clock_steps: int = 0
    """How often the agent's clock was set."""
    hours_day: int = 0
    """The last UTC day, since 1970, with timetable hours, today's included; 0 where none of the last days had."""
    hours: int = 0
    """Of that day, two bits an hour: of the lower 24 one where timetable hours cover all of it, of the upper 24 where
    they touch it. Outside them the policy may let nothing of a room leave, and silence is no fault."""
    hours_next_ms: int = 0
    """When timetable hours next begin on a later day, or a moment before which they do not; 0: this is not told."""

    def as_dict(self) -> dict[str, int]:
        """The report as JSON carries it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> AgentReport:
        """Check a report's closed schema. Raises `MalformedBatch` naming the first field at fault.

        An agent of an earlier version leaves out the fields that came after it.
        """
        fields = dataclasses.fields(cls)
        names = dict.fromkeys(field.name for field in fields)
        later = {field.name for field in fields if field.default is not dataclasses.MISSING}
        for name in mapping:
            if name not in names:
                raise MalformedBatch(f"field {name!r} is not in the agent report")
        numbers: dict[str, int] = {}
        for name in names:
            if name in later and name not in mapping:
                continue
            number = mapping.get(name)
            if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= 1 << 63:
                raise MalformedBatch(f"field {name!r} of the agent report is not a 64-bit integer")
            numbers[name] = number
        return cls(**numbers)
