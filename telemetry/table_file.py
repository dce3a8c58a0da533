"""Reads a TOML file into tables: every mistake at once, with its line, what stands there, and what would do."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from telemetry.errors import ConfigurationError
from telemetry.plain_words import keys_at, plainly, what_would_do
from telemetry.toml_file import locate, syntax_error_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Location = tuple[str | int, ...]


class Table(BaseModel):
    """A table of a file: no key it does not know, no change once read."""

    # built when it is first used: most tables stand inside another, and are never built by themselves
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


T = TypeVar("T", bound=Table)


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

    def __init__(self, path: Path, mistakes: list[Mistake], check: str) -> None:
        """`check` is the command that reads such a file and does nothing else."""
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line)
        lines = "\n".join(f"  {path}:{mistake.line}: {str(mistake).partition(': ')[2]}" for mistake in self.mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(
            f"{count} in the configuration\n{lines}",
            where=str(path),
            fix=f"mend the lines named, then run `{check}` again",
        )


@dataclass(frozen=True, slots=True)
class TableFile(Generic[T]):
    """A file that is whole: its tables, its bytes, and where in it each value stands."""

    tables: T
    data: bytes
    line_of: Callable[[Location], int]


def read_tables(
    path: Path,
    model: type[T],
    check: str,
    cross_checks: Callable[[dict[str, Any]], Iterable[tuple[Location, str, str]]] = lambda _: (),
) -> TableFile[T]:
    """Read and check a file. Raises `ConfigurationError`, or `ConfigurationMistakes` with them all.

    `check` is the command that does this alone. `cross_checks` finds in the document what no single table can know:
    where, what, and what would do.
    """
    text, document = read_document(path, check)
    mistakes: list[Mistake] = []
    line_of = locate(text)
    tables = None
    try:
        tables = model.model_validate(document)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"]:
                continue  # pydantic counts members that are wrong as not there, and each of them is told
            location = _without_tags(tuple(item["loc"]), document)
            quoted = "" if item["type"] in ("extra_forbidden", "missing") else _shown(item.get("input"))
            fix = what_would_do(item, keys_at(model, location[:-1]))
            mistakes.append(Mistake(line_of(location), dotted(location), quoted, plainly(item), fix))
    for location, what, fix in cross_checks(document):
        quoted = _shown(_value_at(document, location))
        mistakes.append(Mistake(line_of(location), dotted(location), quoted, what, fix))
    if tables is None or mistakes:
        raise ConfigurationMistakes(path, mistakes, check)
    return TableFile(tables, text.encode(), line_of)


def read_document(path: Path, check: str) -> tuple[str, dict[str, Any]]:
    """A file's text, and what TOML makes of it. Raises as `read_tables`."""
    try:
        text = path.read_bytes().decode("utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", fix="name a configuration file") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text", fix="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        mistake = Mistake(syntax_error_line(error), "TOML", "", str(error).partition(" (at ")[0], "see https://toml.io")
        raise ConfigurationMistakes(path, [mistake], check) from None


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
    """What stands there; None where nothing does."""
    here: Any = document
    for part in location:
        try:
            here = here[part]
        except LookupError:
            return None
    return here


def _shown(value: object) -> str:
    """A value as the message quotes it: short, and never a whole table."""
    if isinstance(value, (str, int, float, bool)):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}…"
    return ""


def dotted(location: Location) -> str:
    """A location as messages write it: `device[2].room`."""
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"
