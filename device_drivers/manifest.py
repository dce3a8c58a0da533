"""What a driver says of itself in `driver.toml`: who it is, what it reads, and every field it can yield."""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from device_drivers.contract import CONTRACT_VERSION
from device_drivers.field_rows import FieldRow, Table, TableRow, Transport
from device_drivers.tables.documents import DocumentFormat, DocumentRow
from device_drivers.tables.entries import EntriesFormat, EntryRow
from device_drivers.tables.format import Format
from device_drivers.tables.frames import FrameFormat, FrameRow
from device_drivers.tables.lines import LinesFormat, ReplyRow
from device_drivers.tables.readings import ReadingRow, ReadingsFormat
from device_drivers.tables.registers import RegisterRow, RegistersFormat
from telemetry import ConfigurationError, quantities
from telemetry.plain_words import keys_at, plainly, what_would_do
from telemetry.toml_file import locate, syntax_error_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from device_drivers.contract import Driver, Settings

FILE_NAME = "driver.toml"

IDS: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""What a driver may be called."""
DriverId = Annotated[str, Field(pattern=f"^{IDS.pattern}$")]


class ManifestUnusable(ConfigurationError):
    """A `driver.toml` that is missing, malformed, or written for another contract."""

    code = "driver_manifest"


class Identity(Table):
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
    channels: frozenset[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,15}$")]] = Field(
        default=frozenset(), strict=False
    )
    """Words of channels that stand in no `[[field]]`; small numbers need none."""


class Manifest(Table):
    """A whole `driver.toml`."""

    driver: Identity
    families: dict[str, str]
    """Names of the wire formats it answers for, each with the model it implies, if any."""
    format: Format | None = None
    """How a driver without code reads its device."""
    field: tuple[FieldRow, ...] = Field(default=(), strict=False)
    exempt: dict[str, Annotated[str, Field(min_length=12)]] = Field(default={})
    """Checks of the conformance suite that cannot be met, each with its reason."""
    sample: str
    """A [[device]] table that could stand in agent.toml."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for family, model in self.families.items():
            if model and model not in self.driver.models:
                raise ValueError(f"family {family!r} implies {model!r}, which is not in models")
        for model in self.driver.models or ("",):
            keys = [row.key for row in self.field if not isinstance(row, TableRow) or row.is_of(model)]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            if twice:
                raise ValueError(f"field {twice[0]!r} stands twice")
        if self.format is not None:
            self.format.check(self.field, self.driver.transport, self.driver.models)
        return self

    def from_table(self, settings: Settings) -> Driver:
        """The driver that the table is, for one device. Raises `ConfigurationError`."""
        if self.format is None:
            raise ConfigurationError(f"driver {self.driver.id} has neither driver.py nor a table [format]")
        return self.format.driver(self.field, self.driver.transport, settings)

    @property
    def transports(self) -> tuple[Transport, ...]:
        """What a device may be reached over: the transport that is stated first, and others that carry its frames."""
        stated = self.driver.transport
        others = self.format.transports - {stated} if self.format is not None and self.format.is_for_all else ()
        return (stated, *sorted(others))

    @property
    def speaks_modbus(self) -> bool:
        """Whether its frames are Modbus RTU, which TCP carries in either framing."""
        return isinstance(self.format, RegistersFormat)

    @property
    def options(self) -> frozenset[str]:
        """What a configuration may say in `options`: what the driver names, and what its kind of format has."""
        return self.driver.options | (self.format.options if self.format is not None else frozenset())

    @functools.cached_property
    def quantities(self) -> frozenset[str]:
        """Every quantity the driver may yield; one object for all of its devices."""
        return frozenset(row.quantity for row in self.field)

    @functools.cached_property
    def channels(self) -> frozenset[str]:
        """The words that channels are made of; one object for all of its devices."""
        return self.driver.channels | {row.channel for row in self.field if row.channel}

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


class _DocumentManifest(Manifest):
    format: DocumentFormat
    field: tuple[DocumentRow, ...] = Field(strict=False)


class _FrameManifest(Manifest):
    format: FrameFormat
    field: tuple[FrameRow, ...] = Field(strict=False)


class _EntriesManifest(Manifest):
    format: EntriesFormat
    field: tuple[EntryRow, ...] = Field(strict=False)


class _LinesManifest(Manifest):
    format: LinesFormat
    field: tuple[ReplyRow, ...] = Field(strict=False)


class _RegistersManifest(Manifest):
    format: RegistersFormat
    field: tuple[RegisterRow, ...] = Field(strict=False)


class _ReadingsManifest(Manifest):
    format: ReadingsFormat
    field: tuple[ReadingRow, ...] = Field(default=(), strict=False)

    @property
    def quantities(self) -> frozenset[str]:
        """Every quantity the driver may yield; without a field, the whole vocabulary."""
        return frozenset(row.quantity for row in self.field) or frozenset(entry.id for entry in quantities())


_KINDS: Final[dict[str, type[Manifest]]] = {
    "json": _DocumentManifest,
    "frame": _FrameManifest,
    "entries": _EntriesManifest,
    "lines": _LinesManifest,
    "registers": _RegistersManifest,
    "readings": _ReadingsManifest,
}


class _UnknownKind(Exception):
    pass


@functools.cache
def load(folder: Path) -> Manifest:
    """Read and check `driver.toml` in `folder`. Raises `ManifestUnusable`."""
    path = folder / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestUnusable(f"cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise ManifestUnusable("is not UTF-8 text", where=str(path)) from None
    return parse(text, str(path))


def parse(text: str, path: str) -> Manifest:
    """Check the text of a `driver.toml`. Raises `ManifestUnusable` with every mistake and its line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestUnusable(f"is not TOML: {error}", where=f"{path}:{syntax_error_line(error)}") from None
    _check_contract(document, text, path)
    try:
        model = _kind_of(document)
        return model.model_validate(document)
    except _UnknownKind as error:
        line = locate(text)(("format", "kind"))
        raise ManifestUnusable(f"format.kind: {error}", where=f"{path}:{line}") from None
    except ValidationError as error:
        line_of = locate(text)
        found = [
            (line_of(_place(location, document)), _what(location, item, model))
            for item in error.errors(include_url=False)
            for location in [(*item["loc"], *getattr(item.get("ctx", {}).get("error"), "at", ()))]
        ]
        line, what = min(found)
        rest = "".join(f"\n  {path}:{line}: {what}" for line, what in sorted(found)[1:])
        raise ManifestUnusable(what + rest, where=f"{path}:{line}") from None


def _check_contract(document: dict[str, Any], text: str, path: str) -> None:
    """Before all else: what another contract's keys mean is not to be guessed. Raises `ManifestUnusable`."""
    identity = document.get("driver")
    contract = identity.get("contract") if isinstance(identity, dict) else None
    if not isinstance(contract, int) or isinstance(contract, bool) or contract == CONTRACT_VERSION:
        return
    fix = "install a newer Bansui" if contract > CONTRACT_VERSION else "install a newer version of the driver"
    raise ManifestUnusable(
        f"driver.contract: the driver is written for contract {contract}",
        where=f"{path}:{locate(text)(('driver', 'contract'))}",
        why=f"this Bansui has driver contract {CONTRACT_VERSION}",
        fix=fix,
    )


def _kind_of(document: dict[str, Any]) -> type[Manifest]:
    """What a manifest of the document's kind of format has to be. Raises `_UnknownKind`."""
    if "format" not in document:
        return Manifest
    table = document["format"]
    kind = table.get("kind") if isinstance(table, dict) else None
    if kind not in _KINDS:
        raise _UnknownKind(f"there is no {kind!r}; there is: {', '.join(_KINDS)}")
    return _KINDS[kind]


def _place(location: tuple[int | str, ...], document: Any) -> tuple[int | str, ...]:
    """As much of pydantic's location as stands in the file: a key that is missing stands in its table."""
    here: Any = document
    parts: list[int | str] = []
    for part in location:
        if isinstance(here, list) or (isinstance(here, dict) and part in here):  # a list has whatever it is told of
            here = here[part]  # type: ignore[index] # of a list a number, of a table a key
            parts.append(part)
    return tuple(parts)


def _what(location: tuple[int | str, ...], item: ErrorDetails, model: type[Manifest]) -> str:
    key = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    keys = keys_at(model, location[:-1])
    fix = what_would_do(item, keys if location[1:] else {*keys, "format"})
    return f"{key or 'file'}: {plainly(item)}" + (f"; {fix}" if fix else "")


def suggest(text: str, known: Iterable[str]) -> str:
    """What might have been meant, and what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(text, names, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}there is: {', '.join(names) or 'none'}"
