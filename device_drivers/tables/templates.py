"""Templates of what a device says in text: `*ltim= {hours:int}#`.

A template is what stands there, with a placeholder for each value. It becomes a regular expression that takes a time
in proportion to the text, whatever that is: every placeholder is bounded, and what follows one can be no part of it.

| type | what it takes | its number |
|---|---|---|
| `word` (where none is named) | letters, digits, `_`, `.`, `-`, `+`, `/`: 1 to 64 | none: `values` say |
| `int` | a sign perhaps, 1 to 10 digits | to the base of 10 |
| `number` | `int`, and perhaps decimals | as it stands |
| `hex` | 1 to 8 hexadecimal digits | to the base of 16 |
| `hex2`, `hex4`, `hex8` | that many hexadecimal digits | to the base of 16 |
| `int1` to `int9` | that many digits | to the base of 10 |
| `text` | anything but line ends, up to 200: the last one, for what is not read | none |

A space stands for any number of them up to eight: for none, too, unless it stands behind a placeholder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PLACEHOLDER: Final = re.compile(r"\{([a-z_][a-z0-9_]{0,31})(?::([a-z0-9]+))?\}")
_OPEN: Final = {
    "word": r"[A-Za-z0-9_.+/-]{1,64}",
    "int": r"[+-]?[0-9]{1,10}",
    "number": r"[+-]?[0-9]{1,10}(?:\.[0-9]{1,10})?",
    "hex": r"[0-9A-Fa-f]{1,8}",
    "text": r"[^\r\n]{0,200}",
}
_FIXED: Final = {f"hex{count}": rf"[0-9A-Fa-f]{{{count}}}" for count in (2, 4, 8)} | {
    f"int{count}": rf"[0-9]{{{count}}}" for count in range(1, 10)
}
_CLASSES: Final = {
    "word": re.compile(r"[A-Za-z0-9_.+/-]"),
    "int": re.compile(r"[0-9]"),
    "number": re.compile(r"[0-9.]"),
    "hex": re.compile(r"[0-9A-Fa-f]"),
}


@dataclass(frozen=True, slots=True)
class Template:
    """A template made ready."""

    pattern: re.Pattern[str]
    types: dict[str, str]
    """The placeholders, and what each takes."""

    def match(self, text: str) -> dict[str, str] | None:
        """What stands in the placeholders; None when the text is another."""
        found = self.pattern.fullmatch(text)
        return None if found is None else found.groupdict()

    def number(self, name: str) -> Callable[[str], float] | None:
        """What makes a number of what stands there; None where only `values` can say."""
        kind = self.types[name]
        if kind.startswith("hex"):
            return lambda text: float(int(text, 16))
        return float if kind.startswith(("int", "number")) else None


def compile_template(text: str, *, ignore_case: bool = False) -> Template:
    """Make a template ready. Raises ValueError when it is none."""
    types: dict[str, str] = {}
    parts: list[str] = []
    position, before = 0, ""
    for found in _PLACEHOLDER.finditer(text):
        parts.append(_literal(text[position : found.start()], before))
        if before == "text":
            raise ValueError("a placeholder of type text is the last")
        if before in _OPEN and position == found.start():
            raise ValueError(f"{found[0]} stands right behind another of no fixed length")
        name, kind = found[1], found[2] or "word"
        if name in types:
            raise ValueError(f"{{{name}}} stands twice")
        pattern = _OPEN.get(kind) or _FIXED.get(kind)
        if pattern is None:
            raise ValueError(f"{{{name}:{kind}}}: there is no such type; there is: {', '.join([*_OPEN, *_FIXED])}")
        parts.append(f"(?P<{name}>{pattern})")
        types[name], before, position = kind, kind, found.end()
    parts.append(_literal(text[position:], before))
    return Template(re.compile("".join(parts), re.IGNORECASE if ignore_case else 0), types)


def _literal(text: str, before: str) -> str:
    """The pattern of what stands between placeholders. Raises ValueError when the one before could go on into it."""
    if "{" in text or "}" in text:
        raise ValueError("a placeholder is written {name} or {name:type}")
    after = text.lstrip(" ")
    pattern = "".join(
        " {0,8}" if part == " " else re.escape(part) for part in re.findall(r" +|[^ ]", text.replace("  ", " "))
    )
    if before in _OPEN and text:
        if text.startswith(" "):
            pattern = " {1,8}" + pattern.removeprefix(" {0,8}")
        elif before in _CLASSES and _CLASSES[before].match(after):
            raise ValueError(f"what follows a placeholder of type {before} may not be a part of it: {after[0]!r}")
    return pattern
