"""A row of a manifest's field table: a field of the wire format, and the quantity that it becomes."""

from __future__ import annotations

import enum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from device_drivers import units
from telemetry import Quantity, Summarise, UnknownQuantity, quantity

Channel = Annotated[str, Field(pattern=r"^[a-z0-9_-]{0,16}$")]
LITERALS: Final = {"true": True, "false": False}
_SAME: Final = (1.0, 0.0)


class Transport(enum.StrEnum):
    """How a device's bytes come in, which decides the powers its driver must have."""

    MQTT = "mqtt"
    SERIAL_STREAM = "serial-stream"
    SERIAL_POLL = "serial-poll"
    TCP_POLL = "tcp-poll"
    EXEC = "exec"

    @property
    def is_polled(self) -> bool:
        """Whether the device has to be asked."""
        return self in (Transport.SERIAL_POLL, Transport.TCP_POLL)


class Table(BaseModel):
    """A table of a `driver.toml`: no key it does not know, no change once read."""

    # built when it is first used: most tables stand inside another, and are never built by themselves
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class FieldRow(Table):
    """One field of the wire format, and the quantity it becomes.

    Its value is number times `scale` plus `offset`, in `unit`, told in the vocabulary's; or one of `values`.
    """

    key: Annotated[str, Field(min_length=1)]
    quantity: str
    channel: Channel = ""
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    """What the device measures in, where that is not the vocabulary's unit."""
    values: dict[str, float | str] = {}
    """Words of the format and the number or the state they stand for; `true` and `false` are the JSON literals."""
    unless: str = ""
    """A field that, when it is there too, says the same better."""

    @field_validator("quantity")
    @classmethod
    def _in_vocabulary(cls, name: str) -> str:
        try:
            return quantity(name).id
        except UnknownQuantity as error:
            raise ValueError(f"{error.what}; {error.fix}") from None

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        entry = quantity(self.quantity)
        if self.unit:
            units.conversion(self.unit, entry.unit)
        for value in self.values.values():
            self.meaning(value)
        return self

    def meaning(self, value: float | str) -> float:
        """The number that a state's name stands for, or the number itself. Raises ValueError."""
        if not isinstance(value, str):
            return float(value)
        states = self.entry.states
        if value not in states:
            raise ValueError(f"{self.quantity} has no state {value!r}; it has: {', '.join(states) or 'none'}")
        return float(states.index(value))

    @property
    def entry(self) -> Quantity:
        """The quantity."""
        return quantity(self.quantity)

    @property
    def column(self) -> tuple[str, str]:
        """Quantity and channel, as a layout has them."""
        return self.quantity, self.channel

    @property
    def linear(self) -> tuple[float, float]:
        """Factor and shift that turn a number of the format into one in the vocabulary's unit."""
        factor, shift = units.conversion(self.unit, self.entry.unit) if self.unit else _SAME
        return self.scale * factor, self.offset * factor + shift

    @property
    def words(self) -> dict[str | bool, float]:
        """What `values` stand for, as numbers."""
        return {LITERALS.get(word, word): self.meaning(value) for word, value in self.values.items()}


def own_words(entry: Quantity) -> dict[str | bool, float]:
    """How text says a flag or a state when the table has no words of its own."""
    words: dict[str | bool, float] = {state: float(index) for index, state in enumerate(entry.states)}
    if entry.summarise in (Summarise.FLAG, Summarise.EVENT):
        words |= {True: 1.0, False: 0.0}
    return words


class TableRow(FieldRow):
    """A row that a driver without code is read by."""

    models: tuple[str, ...] = Field(default=(), strict=False)
    """The models that have this field; all of them where none is named."""
    absent: tuple[float | str, ...] = Field(default=(), strict=False)
    """What the format writes where nothing was measured: the whole number, before bits, scale and offset."""

    def is_of(self, model: str) -> bool:
        """Whether that model has this field."""
        return not self.models or model in self.models
