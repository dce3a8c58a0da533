"""Value templates, as far as they only name a value: no Jinja is run here.

Source: home-assistant.io/docs, "MQTT" (value templates). Accepted: `{{ value }}`, `{{ value_json.a.b }}`,
`{{ value_json['a'][0] }}`, each perhaps followed by `| float`, `| int` or `| round`, with or without an argument.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

Path: TypeAlias = "tuple[str | int, ...] | None"
"""The way to a value in a JSON object; None for the payload itself."""

_LONGEST: Final = 256
_DEEPEST: Final = 8
_WHOLE: Final = re.compile(r"\{\{-?\s*(value_json|value)([^|{}]*?)((?:\|[^|{}]*)*)-?\}\}")
_STEP: Final = re.compile(r"""\.([A-Za-z_]\w*)|\[\s*(?:'([^'\\]*)'|"([^"\\]*)"|(\d{1,3}))\s*\]""")
_FILTER: Final = re.compile(r"\|\s*(?:float|int|round)\s*(?:\(\s*-?[\d.]*\s*\))?\s*")


class TemplateUnread(ValueError):
    """A template that does more than name a value."""


def parse(template: str) -> Path:
    """Where the value stands. Raises `TemplateUnread`."""
    match = _WHOLE.fullmatch(template.strip()) if len(template) <= _LONGEST else None
    if match is None or _FILTER.sub("", match[3].removesuffix("-")).strip():
        raise TemplateUnread
    if match[1] == "value":
        if match[2].strip():
            raise TemplateUnread
        return None
    steps = list(_STEP.finditer(match[2].strip()))
    if not steps or "".join(step[0] for step in steps) != match[2].strip() or len(steps) > _DEEPEST:
        raise TemplateUnread
    return tuple(int(step[4]) if step[4] is not None else step[1] or step[2] or step[3] or "" for step in steps)


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
