"""Reads agent.toml: every mistake at once, each with its line, what stands there, and what would do."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from device_drivers.registry import discover
from edge_agent.config import Configuration, SerialTable
from telemetry import ConfigurationError
from telemetry.toml_file import locate, syntax_error_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from device_drivers.registry import DriverEntry

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing in the file that cannot stand."""

    line: int
    key: str
    found: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        found = f" (found {self.found})" if self.found else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"line {self.line}: {self.key}: {self.what}{found}{fix}"


class ConfigurationMistakes(ConfigurationError):
    """All the mistakes of a configuration file."""

    code = "configuration_mistakes"

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line)
        lines = "\n".join(f"  {path}:{mistake.line}: {str(mistake).partition(': ')[2]}" for mistake in self.mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(
            f"{count} in the configuration\n{lines}",
            where=str(path),
            fix="mend the lines named, then run `bansui agent validate` again",
        )


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """A configuration that is whole, and where it came from."""

    tables: Configuration
    path: Path
    digest: bytes
    """SHA-256 of the file, by which the centre sees that it changed."""
    line_of: Callable[[Location], int]

    @property
    def folder(self) -> Path:
        """What the file's own paths are relative to."""
        return self.path.resolve().parent

    def read_secret(self, name: str) -> str:
        """The first line of a secret's file. Raises `ConfigurationError`."""
        path = self.folder / name
        fix = f"write the secret into {path}, mode 600"
        try:
            secret = path.read_text(encoding="ascii").partition("\n")[0].strip()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}", fix=fix) from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{path} is not ASCII text", fix=fix) from None
        if not secret:
            raise ConfigurationError(f"the first line of {path} is empty", fix=fix)
        return secret


class Findings:
    """Gathers what is wrong with a configuration beyond its text: drivers that cannot be made, secrets not there."""

    def __init__(self, loaded: LoadedConfiguration) -> None:
        self._loaded = loaded
        self._mistakes: list[Mistake] = []

    @contextmanager
    def at(self, *location: str | int) -> Iterator[None]:
        """Note a `ConfigurationError` of the block as a mistake at this place, and go on behind it."""
        try:
            yield
        except ConfigurationError as error:
            line = self._loaded.line_of(location)
            self._mistakes.append(Mistake(line, _dotted(location), "", error.what, error.fix))

    def conclude(self) -> None:
        """Raise `ConfigurationMistakes` with all of them, if there are any."""
        if self._mistakes:
            raise ConfigurationMistakes(self._loaded.path, self._mistakes)


def load(path: Path) -> LoadedConfiguration:
    """Read and check a configuration file. Raises `ConfigurationError`, or `ConfigurationMistakes` with them all."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", fix="name a configuration file") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text", fix="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        mistake = Mistake(syntax_error_line(error), "TOML", "", str(error).partition(" (at ")[0], "see https://toml.io")
        raise ConfigurationMistakes(path, [mistake]) from None
    mistakes: list[Mistake] = []
    line_of = locate(text)
    tables = None
    try:
        tables = Configuration.model_validate(document)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            location = _without_tags(tuple(item["loc"]), document)
            mistakes.append(_mistake(location, dict(item), line_of(location)))
    for location, what, fix in _cross_checks(document):
        found = _shown(_value_at(document, location))
        mistakes.append(Mistake(line_of(location), _dotted(location), found, what, fix))
    if tables is None or mistakes:
        raise ConfigurationMistakes(path, mistakes)
    return LoadedConfiguration(tables, path, hashlib.sha256(data).digest(), line_of)


def _mistake(location: Location, item: dict[str, Any], line: int) -> Mistake:
    kind, message = str(item["type"]), str(item["msg"]).removeprefix("Value error, ")
    found = _shown(item.get("input"))
    if kind == "extra_forbidden":
        known = list(_fields_at(location[:-1]))
        return Mistake(line, _dotted(location), "", "no such key", _suggest(str(location[-1]), known))
    if kind == "missing":
        return Mistake(line, _dotted(location), "", "is missing", f"add `{location[-1]} = …` here")
    if kind in ("enum", "literal_error"):
        expected = [choice.strip("'\" ") for choice in str(item["ctx"]["expected"]).replace(" or ", ",").split(",")]
        return Mistake(line, _dotted(location), found, "not one of the choices", _suggest(str(item["input"]), expected))
    if kind == "string_pattern_mismatch" and "a-z0-9-" in message:
        message = "a code is 1 to 32 of a-z, 0-9 and '-'"
    return Mistake(line, _dotted(location), found, message[0].lower() + message[1:])


def _cross_checks(document: dict[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """What no single table can know: references, and names that have to be unique."""
    rooms = [room.get("code") for room in _tables(document, "room")]
    yield from _repeated(document, "room", "code")
    yield from _repeated(document, "device", "id")
    drivers = discover()
    for index, device in enumerate(_tables(document, "device")):
        room, driver = device.get("room"), device.get("driver")
        if isinstance(room, str) and room not in rooms:
            yield ("device", index, "room"), "no [[room]] has this code", _suggest(room, [str(r) for r in rooms])
        if isinstance(driver, str) and driver not in drivers:
            yield ("device", index, "driver"), "no driver has this id", _suggest(driver, list(drivers))
        if "mqtt" in device and not {"listener", "subscriber"} & document.keys():
            yield ("device", index, "mqtt"), "needs [listener] or [subscriber]", "add one of the two tables"
    yield from _shared_topics(document)
    yield from _shared_lines(document, drivers)


def _repeated(document: dict[str, Any], table: str, key: str) -> Iterator[tuple[Location, str, str]]:
    seen: set[object] = set()
    for index, entry in enumerate(_tables(document, table)):
        value = entry.get(key)
        if isinstance(value, str):
            if value in seen:
                yield (table, index, key), f"another [[{table}]] has this {key}", "give each its own"
            seen.add(value)


def _shared_topics(document: dict[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """Two devices on one topic: one of them would never be heard."""
    seen: set[str] = set()
    for index, device in enumerate(_tables(document, "device")):
        inner = device.get("mqtt")
        topic = inner.get("topic") if isinstance(inner, dict) else None
        if isinstance(topic, str):
            if topic in seen:
                yield ("device", index, "mqtt", "topic"), "another [[device]] has this topic", "give each its own"
            seen.add(topic)


def _shared_lines(document: dict[str, Any], drivers: Mapping[str, DriverEntry]) -> Iterator[tuple[Location, str, str]]:
    """Devices on one serial line: all must wait until they are asked, and at one speed."""
    first: dict[str, tuple[object, bool]] = {}
    usual = SerialTable.model_fields["baud"].default
    for index, device in enumerate(_tables(document, "device")):
        line = device.get("serial")
        port = line.get("port") if isinstance(line, dict) else None
        if not isinstance(line, dict) or not isinstance(port, str):
            continue
        entry = drivers.get(str(device.get("driver")))
        waits = entry is not None and entry.found is not None and entry.found.driver.transport.is_polled
        if port not in first:
            first[port] = line.get("baud", usual), waits
            continue
        baud, other_waits = first[port]
        if not (waits and other_waits):
            what = "another [[device]] has this port, and one of the two sends without being asked"
            yield ("device", index, "serial", "port"), what, "give each a line of its own"
        elif line.get("baud", usual) != baud:
            yield (
                ("device", index, "serial"),
                "another [[device]] has this port at another speed",
                "set one baud for all",
            )


def _tables(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    tables = document.get(name)
    if not isinstance(tables, list):
        return []
    return [table if isinstance(table, dict) else {} for table in tables]


def _suggest(text: str, known: list[str]) -> str:
    close = difflib.get_close_matches(text, known, n=1)
    allowed = ", ".join(sorted(known))
    return f"did you mean {close[0]!r}? (allowed: {allowed})" if close else f"allowed: {allowed}"


def _fields_at(location: Location) -> dict[str, Any]:
    """The keys that the table at `location` may have."""
    model: type[BaseModel] = Configuration
    for part in location:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return dict(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None


def _without_tags(location: Location, document: object) -> Location:
    """pydantic's location without the names of union members, which stand in no file."""
    parts: list[str | int] = []
    here = document
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if isinstance(here, dict) and (part in here or last):
            here = here.get(part)
            parts.append(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
            parts.append(part)
    return tuple(parts)


def _value_at(document: object, location: Location) -> object:
    here: Any = document
    for part in location:
        here = here[part]
    return here


def _shown(value: object) -> str:
    """A value as the message quotes it: short, and never a whole table."""
    if isinstance(value, (str, int, float, bool)):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}…"
    return ""


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"
