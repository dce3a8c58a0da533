"""Reading what `bansui sim run` has written: a truth, a wiring."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError

from telemetry import ConfigurationError
from telemetry.plain_words import plainly

if TYPE_CHECKING:
    from pathlib import Path

_Content = TypeVar("_Content", bound=BaseModel)

_MOST_NAMED: Final = 3


class RunFileUnreadable(ConfigurationError):
    """A file that is not what a run writes, in a schema known here."""

    code = "run_file"


def read(path: Path, kind: type[_Content], *, schema: int, option: str) -> _Content:
    """The file that `option` of `bansui sim run` has written. Raises `RunFileUnreadable`."""
    written = f"give a file that `bansui sim run {option}` has written"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        of_schools = sorted(each.name for each in path.parent.glob(f"{path.stem}.*{path.suffix}"))[:_MOST_NAMED]
        one_of_them = f"each of several schools has a file of its own, give one: {', '.join(of_schools)}"
        fix = one_of_them if of_schools else written
        raise RunFileUnreadable(f"cannot be read: {error.strerror}", where=str(path), fix=fix) from None
    except (OSError, ValueError, RecursionError) as error:  # what is not UTF-8, not JSON, or JSON to exhaust a reader
        why = error.strerror if isinstance(error, OSError) else error
        raise RunFileUnreadable(f"cannot be read: {why}", where=str(path), fix=written) from None
    found = content.get("schema") if isinstance(content, dict) else None
    if found != schema:
        what = f"this has schema {found!r}, and {schema} is known here"
        raise RunFileUnreadable(what, where=str(path), fix=written)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {plainly(first)}"
        raise RunFileUnreadable(what, where=str(path), fix="give a file that nobody has changed") from None
