"""What every kind of format has: which transports it is for, the options it brings, and the driver that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from device_drivers.field_rows import Table, Transport
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from device_drivers.contract import Driver, Settings
    from device_drivers.field_rows import FieldRow

Reason: TypeAlias = Literal[
    "warming_up", "unavailable", "device_error", "undefined_command", "out_of_parameter", "version", "personal"
]
REASONS: Final[dict[str, tuple[str, str]]] = {
    "warming_up": ("warming_up", "the device has not measured yet"),
    "unavailable": ("unavailable", "the device cannot answer in its present state"),
    "device_error": ("device_error", "the device reports its own failure"),
    "undefined_command": ("undefined_command", "the device does not know this command"),
    "out_of_parameter": ("out_of_parameter", "the device does not have what was asked for"),
    "personal": ("personal", "the frame tells of a person"),
    "version": ("version", "the frame is of another version of the format"),
}
"""Why a table may refuse a frame: the reason that is counted, and the sentence."""


class Mistake(ValueError):
    """A mistake that no single value shows, and where it stands: keys and indices from the table that was checked."""

    def __init__(self, what: str, *at: str | int) -> None:
        super().__init__(what)
        self.at = at


class Format(Table):
    """The `[format]` of a driver that is a table."""

    transports: ClassVar[frozenset[Transport]] = frozenset()
    is_for_all: ClassVar[bool] = False
    """Whether each of the transports carries its frames, whichever the manifest states."""
    kind: str

    @property
    def options(self) -> frozenset[str]:
        """What a configuration may say in `options`."""
        return frozenset()

    def check(self, rows: Sequence[FieldRow], transport: Transport, models: tuple[str, ...]) -> None:
        """What no single row can know. Raises `Mistake`."""
        if transport not in self.transports:
            kinds = ", ".join(sorted(self.transports))
            raise Mistake(f"kind {self.kind!r} is for {kinds}, not for {transport}", "format", "kind")
        for index, row in enumerate(rows):
            unknown = sorted(set(getattr(row, "models", ())) - set(models))
            if unknown:
                raise Mistake(f"{unknown[0]!r} is not in driver.models", "field", index, "models")

    def driver(self, rows: Sequence[FieldRow], transport: Transport, settings: Settings) -> Driver:
        """The driver for one device. Raises `ConfigurationError`."""
        raise NotImplementedError


def address_option(settings: Settings, lowest: int, highest: int) -> int | None:
    """The device's address as the configuration states it, if it does. Raises `ConfigurationError`."""
    address = settings.options.get("address")
    if address is None:
        return None
    if isinstance(address, bool) or not isinstance(address, int) or not lowest <= address <= highest:
        fix = f"write the device's address, {lowest} to {highest}"
        raise ConfigurationError(f"address is {address!r}", fix=fix)
    return address


class AddressOption(Table):
    """The addresses that a configuration may state."""

    usual: Annotated[int, Field(ge=0, le=255)]
    """What is asked where it states none; then a reply may be of any."""
    lowest: Annotated[int, Field(ge=0, le=255)] = 0
    highest: Annotated[int, Field(ge=0, le=255)] = 99

    def stated(self, settings: Settings) -> int | None:
        """The address that the configuration states, if it does. Raises `ConfigurationError`."""
        return address_option(settings, self.lowest, self.highest)
