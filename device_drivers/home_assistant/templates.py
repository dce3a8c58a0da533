"""Value templates, as far as they only name a value: no Jinja is run here.

Source: home-assistant.io/docs, "MQTT" (value templates). Accepted: `{{ value }}`, `{{ value_json.a.b }}`,
`{{ value_json['a'][0] }}`, `{{ value_json.get('a') }}`, each perhaps in parentheses and followed by filters that change
no value that is there: what `| default(0)` would put into the place of a missing one is none.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

Path: TypeAlias = "tuple[str | int, ...] | None"
"""The way to a value in a JSON object; None for the payload itself."""

_LONGEST: Final = 256
_DEEPEST: Final = 8
_PRINTED: Final = re.compile(r"\{\{-?([^{}]*?)-?\}\}")
_NAMED: Final = re.compile(r"(value_json|value)([^|]*?)((?:\|[^|]*)*)")
_STEP: Final = re.compile(
    r"""\.get\(\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*\)|\.([A-Za-z_]\w*)|\[\s*(?:'([^'\\]*)'|"([^"\\]*)"|(\d{1,3}))\s*\]"""
)
_FILTER: Final = re.compile(r"\|\s*(?:float|int|round|default|d|is_defined|string)\b\s*(?:\(\s*[\w.,'\"=\s-]*\))?\s*")


class TemplateUnread(ValueError):
    """A template that does more than name a value."""


def parse(template: str) -> Path:
    """Where the value stands. Raises `TemplateUnread`."""
    printed = _PRINTED.fullmatch(template.strip()) if len(template) <= _LONGEST else None
    match = _NAMED.fullmatch(_opened(printed[1].strip())) if printed else None
    if match is None or _FILTER.sub("", match[3]).strip():
        raise TemplateUnread
    if match[1] == "value":
        if match[2].strip():
            raise TemplateUnread
        return None
    steps = list(_STEP.finditer(match[2].strip()))
    if not steps or "".join(step[0] for step in steps) != match[2].strip() or len(steps) > _DEEPEST:
        raise TemplateUnread
    return tuple(int(step[6]) if step[6] is not None else step[step.lastindex or 0] for step in steps)


def _opened(text: str) -> str:
    """The same without the parentheses that it begins with, if it does."""
    depth = 0
    for place, sign in enumerate(text if text.startswith("(") else ""):
        depth += (sign == "(") - (sign == ")")
        if not depth:
            return f"{text[1:place].strip()} {text[place + 1 :].strip()}".strip()
    return text


def follow(document: Any, path: tuple[str | int, ...]) -> Any:
    """The value at `path`; None where there is none."""
    for step in path:
        if isinstance(document, dict) and isinstance(step, str):
            document = document.get(step)
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        else:
            return None
    return document
