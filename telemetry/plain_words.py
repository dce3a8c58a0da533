"""What is wrong with a value of a file, for whoever writes it: pydantic's own words are for those who write Python."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CODE_PATTERN: Final = "a-z0-9-"
WANTED: Final = {
    "bool": "true or false is wanted",
    "date": "a date is wanted, written 2026-11-30 without quotes",
    "dict": "a table is wanted",
    "float": "a number is wanted",
    "int": "a whole number is wanted",
    "list": "a list is wanted, in [ ]",
    "model": "a table is wanted",
    "string": "text is wanted, in quotes",
    "tuple": "a list is wanted, in [ ]",
}
"""By the first word of pydantic's name of the mistake, of one of these kinds."""
_KINDS_OF_TYPE: Final = ("type", "parsing", "from_float", "from_date_parsing", "from_datetime_parsing")
SAID: Final = {
    "enum": "not one of the choices",
    "extra_forbidden": "no such key",
    "finite_number": "has to be finite",
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be {ge} or more",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "has to be {le} or less",
    "literal_error": "not one of the choices",
    "missing": "is missing",
    "multiple_of": "has to be a multiple of {multiple_of}",
    "string_pattern_mismatch": "has to be written as the pattern {pattern}",
    "string_too_long": "too long: at most {max_length} characters",
    "string_too_short": "too short: at least {min_length}",
    "too_long": "too many: at most {max_length}",
    "too_short": "too few: at least {min_length}",
}
"""By pydantic's name of the mistake."""


def plainly(item: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says, as a clause."""
    kind, message = str(item["type"]), str(item["msg"])
    if kind == "string_pattern_mismatch" and _CODE_PATTERN in message:
        return "a code is 1 to 32 of a-z, 0-9 and '-'"
    if kind in SAID:
        bounds = {name: f"{value:g}" for name, value in item.get("ctx", {}).items() if isinstance(value, float)}
        return SAID[kind].format(**{**item.get("ctx", {}), **bounds})
    first, _, rest = kind.partition("_")
    if first in WANTED and rest in _KINDS_OF_TYPE:
        return WANTED[first]
    own = message.removeprefix("Value error, ")
    return own[:1].lower() + own[1:]


def what_would_do(item: Mapping[str, Any], keys: Iterable[str]) -> str:
    """What to write instead, where that is known; `keys` are those that the table may have."""
    kind, last = str(item["type"]), str(item["loc"][-1]) if item["loc"] else ""
    if kind == "extra_forbidden":
        return suggest(last, list(keys))
    if kind == "missing":
        return f"add `{last} = …` here"
    if kind in ("enum", "literal_error"):
        expected = [choice.strip("'\" ") for choice in str(item["ctx"]["expected"]).replace(" or ", ",").split(",")]
        return suggest(str(item["input"]), expected)
    return ""


def keys_at(model: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    """The keys that the table at pydantic's `location` may have."""
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is not None:  # the name of a union's member stands in no file
            model = _model_in(field.annotation) or model
    return list(model.model_fields)


def suggest(text: str, known: list[str]) -> str:
    """What would do in the place of `text`, the likeliest first."""
    close = difflib.get_close_matches(text, known, n=1)
    allowed = ", ".join(sorted(set(known)))
    return f"did you mean {close[0]!r}? (allowed: {allowed})" if close else f"allowed: {allowed}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None
