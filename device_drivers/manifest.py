"""What a driver says of itself in `driver.toml`: who it is, what it reads, and every field it can yield."""

from __future__ import annotations

import difflib
import enum
import functools
import tomllib
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from device_drivers.contract import CONTRACT_VERSION
from telemetry import ConfigurationError, UnknownQuantity, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE_NAME = "driver.toml"

DriverId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Channel = Annotated[str, Field(pattern=r"^[a-z0-9_-]{0,16}$")]


class ManifestUnusable(ConfigurationError):
    """A `driver.toml` that is missing, malformed, or written for another contract."""

    code = "driver_manifest"


class Transport(enum.StrEnum):
    """How a device's bytes come in, which decides the powers its driver must have."""

    MQTT = "mqtt"
    SERIAL_STREAM = "serial-stream"
    SERIAL_POLL = "serial-poll"
    TCP_POLL = "tcp-poll"

    @property
    def is_polled(self) -> bool:
        """Whether the device has to be asked."""
        return self in (Transport.SERIAL_POLL, Transport.TCP_POLL)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FieldRow(_Table):
    """One field of the wire format, and the quantity it becomes: number times `scale`, or one of `values`."""

    key: Annotated[str, Field(min_length=1)]
    quantity: str
    channel: Channel = ""
    scale: float = 1.0
    values: dict[str, float] = {}
    """Words of the format and what they stand for; `true` and `false` are the JSON literals."""
    unless: str = ""
    """A field that, when it is there too, says the same better."""

    @field_validator("quantity")
    @classmethod
    def _in_vocabulary(cls, name: str) -> str:
        try:
            return quantity(name).id
        except UnknownQuantity as error:
            raise ValueError(error.what) from None


class Identity(_Table):
    """Who the driver is."""

    id: DriverId
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    contract: Literal[1]
    transport: Annotated[Transport, Field(strict=False)]
    name_zh: str
    name_en: str
    models: tuple[str, ...] = Field(default=(), strict=False)
    """The models whose bytes differ, one of which the configuration must name; empty where all are alike."""
    options: frozenset[str] = Field(default=frozenset(), strict=False)
    secrets: frozenset[str] = Field(default=frozenset(), strict=False)


class Manifest(_Table):
    """A whole `driver.toml`."""

    driver: Identity
    families: dict[str, str]
    """Names of the wire formats it answers for, each with the model it implies, if any."""
    field: tuple[FieldRow, ...] = Field(default=(), strict=False)
    sample: str
    """A [[device]] table that could stand in agent.toml."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        keys = [row.key for row in self.field]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"field {twice[0]!r} stands twice")
        for family, model in self.families.items():
            if model and model not in self.driver.models:
                raise ValueError(f"family {family!r} implies {model!r}, which is not in models")
        return self

    @property
    def quantities(self) -> frozenset[str]:
        """Every quantity the driver may yield."""
        return frozenset(row.quantity for row in self.field)

    def known_model(self, model: str) -> str | None:
        """`model` as the manifest spells it, in whatever case it was written; None when it is not listed."""
        return next((known for known in self.driver.models if known.casefold() == model.casefold()), None)

    def check_model(self, model: str) -> str:
        """`model` as the manifest spells it. Raises `ConfigurationError` when the driver cannot do without it."""
        if not self.driver.models:
            return model
        known = self.known_model(model)
        if known is None:
            what = f"has no model {model!r}" if model else "needs a model"
            raise ConfigurationError(f"driver {self.driver.id} {what}", fix=suggest(model, self.driver.models))
        return known

    def model_for(self, family: str, model: str) -> str:
        """The model to configure: the one named, if it tells anything, else the one the family implies."""
        return self.known_model(model) or self.families.get(family) or model


@functools.cache
def load(folder: Path) -> Manifest:
    """Read and check `driver.toml` in `folder`. Raises `ManifestUnusable`."""
    path = folder / FILE_NAME
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestUnusable(f"cannot be read: {error.strerror}", where=str(path)) from None
    except ValueError as error:  # malformed TOML, or not UTF-8
        raise ManifestUnusable(f"is not TOML: {error}", where=str(path)) from None
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        why = f"this Bansui has driver contract {CONTRACT_VERSION}" if key == "driver.contract" else ""
        raise ManifestUnusable(f"{key or 'file'}: {first['msg']}", where=str(path), why=why) from None


def suggest(text: str, known: Iterable[str]) -> str:
    """What might have been meant, and what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(text, names, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}there is: {', '.join(names) or 'none'}"
