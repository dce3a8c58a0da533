"""The driver contract, version 1: who calls what, when.

A driver is a folder with `driver.py`, whose `create(settings)` the registry calls once per device, when the
configuration is read. `create` checks its settings, raises `ConfigurationError`, and connects to nothing.

Every driver has `decode`: bytes to measurements, pure and quick, called on the agent's loop for every frame.
The other powers are separate: a driver has `split` when its bytes come as a stream, `poll` when its device has to be
asked, `requests` when its device can be asked over MQTT to say again what it is. Over `exec` a program in any
language writes the frames, a line each; docs/vendors.md, section 6, has the schema of a line, which is part of this
contract. A driver never retries, never logs per message, never blocks, never reads the clock, and is never called
from two tasks at once: no driver needs a lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from telemetry import DeviceFault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

CONTRACT_VERSION: Final = 1
REASONS: Final = frozenset(
    (
        "authentication",
        "checksum",
        "component",
        "device_class",
        "device_error",
        "header",
        "length",
        "malformed",
        "no_table",
        "not_a_device_frame",
        "not_learned",
        "out_of_parameter",
        "password_required",
        "personal",
        "port",
        "simulated",
        "template",
        "too_large",
        "too_many",
        "topic",
        "unavailable",
        "undefined_command",
        "unexpected",
        "unit",
        "value",
        "version",
        "warming_up",
    )
)
"""Why a frame may be refused. It is a closed set, since a reason is counted and shown: another counts as a fault of
the driver's."""


class Frame(Struct, frozen=True, gc=False):
    """One whole message of a device, not yet understood."""

    payload: bytes
    topic: str = ""
    """Where it was published, over MQTT."""
    request: bytes = b""
    """What it answers, for a device that is polled; empty for a greeting."""
    port: int | None = None
    """The application port, over LoRaWAN."""


class Measurement(NamedTuple):
    """One value a frame holds, in the vocabulary's unit; a state is its index in `Quantity.states`, a flag 0 or 1."""

    quantity: str
    value: float
    channel: str = ""
    event_ms: int | None = None
    """When the device says it measured this; None when it does not say."""


class Layout:
    """Which quantities, on which channels, the values of a row are; compared by identity, so that it is a quick key."""

    __slots__ = ("columns",)

    def __init__(self, columns: tuple[tuple[str, str], ...]) -> None:
        self.columns = columns
        """Quantity and channel of each value."""

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(columns: tuple[tuple[str, str], ...]) -> Layout:
        """The layout of these columns: the same object while it is among the last few thousand asked for."""
        return Layout(columns)


class Row(Struct, frozen=True, gc=False):
    """Values measured at one moment, in the order of their layout's columns."""

    layout: Layout
    values: tuple[float, ...]
    event_ms: int | None = None


class Decoded(Struct, frozen=True, gc=False):
    """What a frame held: rows of values, and the names of fields that are not declared and were dropped."""

    rows: tuple[Row, ...] = ()
    dropped: tuple[str, ...] = ()

    @classmethod
    def of(cls, measurements: Iterable[Measurement], dropped: tuple[str, ...] = ()) -> Decoded:
        """Put measurements into rows, one for each moment."""
        moments: dict[int | None, list[Measurement]] = {}
        for measurement in measurements:
            moments.setdefault(measurement.event_ms, []).append(measurement)
        rows = [
            Row(Layout.of(tuple((m.quantity, m.channel) for m in found)), tuple(m.value for m in found), event_ms)
            for event_ms, found in moments.items()
        ]
        return cls(tuple(rows), dropped)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Every value by itself."""
        return tuple(
            Measurement(quantity, value, channel, row.event_ms)
            for row in self.rows
            for (quantity, channel), value in zip(row.layout.columns, row.values, strict=True)
        )


class FrameRefused(DeviceFault):
    """A frame that the format must refuse; it yields no measurement.

    `reason` is one of `REASONS`; it labels a counter, so it never holds a value from the frame.
    """

    code = "frame_refused"

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says of one device."""

    model: str = ""
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Passwords, already read from their files; never logged."""


@runtime_checkable
class Driver(Protocol):
    """Decode: the power every driver has."""

    def decode(self, frame: Frame) -> Decoded:
        """Understand one frame. Raises `FrameRefused`; applies no plausibility check."""
        ...


@runtime_checkable
class StreamDriver(Driver, Protocol):
    """For devices whose frames come in a stream of bytes."""

    def split(self, buffer: bytearray) -> list[Frame]:
        """Take every whole frame out of `buffer`, and the bytes that can belong to none; leave the rest."""
        ...


class Connection(Protocol):
    """A line to a device, opened and closed by the agent, with a time limit on each call."""

    async def read_until(self, separator: bytes) -> bytes:
        """The bytes up to and including `separator`. Raises `DeviceFault` on silence, end or excess."""
        ...

    async def read_exactly(self, count: int) -> bytes:
        """That many bytes. Raises `DeviceFault` on silence or end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`. Raises `DeviceFault`."""
        ...


@runtime_checkable
class PollDriver(Driver, Protocol):
    """For devices that have to be asked, over TCP or a serial line."""

    def poll(self, connection: Connection) -> AsyncIterator[Frame]:
        """Ask once for everything; yield each answer. Raises `DeviceFault`; the agent tries again next time."""
        ...


class Request(NamedTuple):
    """A message that asks a device to say again what it is; `device_drivers.requests` lists those that may be sent."""

    topic: str
    payload: bytes
    heard_at: str
    """The topic of a message that cannot be understood without the answer."""


@runtime_checkable
class AskingDriver(Driver, Protocol):
    """For devices over MQTT that say once what their values mean, and say it again on request."""

    def requests(self, now_ms: int) -> Sequence[Request]:
        """What would have to be asked, for as long as the answer has not come; changes nothing.

        `now_ms` is the time in UTC, for formats that state it. The agent looks every second, decides what is sent and
        when, and sends at QoS 0, not retained.
        """
        ...
