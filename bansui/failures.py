"""How the command says that something failed: what, where, why, and what to do; and with which exit code."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Final

from telemetry import BansuiError, ConfigurationError, DeliveryFault, DeviceFault, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CHECK: Final = 1
EXIT_USAGE: Final = 2
EXIT_ENVIRONMENT: Final = 3
EXIT_INTERRUPTED: Final = 130

_FRAME: Final = {
    "en": {
        "error": "error",
        "where": "where",
        "why": "why",
        "fix": "fix",
        "more": "more",
        "rest": "and {count:,} more; --json has them all",
    },
    "zh": {
        "error": "错误",
        "meaning": "含义",
        "where": "位置",
        "why": "原因",
        "fix": "处理",
        "more": "详见",
        "rest": "另有 {count:,} 处；--json 列出全部",
    },
}
_MOST_LINES: Final = 20
"""Mistakes that a person is shown at once: thousands are mostly one mistake, made for each device."""
_SAYS_NOTHING_MORE: Final = frozenset(("configuration", "environment", "device", "delivery", "contract", "usage"))
"""Codes too general for a look at `bansui explain` to be worth it."""


class UsageError(ConfigurationError):
    """A call that the command does not have."""

    code = "usage"


class MissingExtra(EnvironmentFault):
    """A command whose packages were not installed."""

    code = "missing_extra"


def exit_code(errors: Sequence[BansuiError]) -> int:
    """Who has to act: the caller (2), the machine and what it talks to (3), or whoever made the bytes (1)."""
    if any(isinstance(error, ConfigurationError) for error in errors):
        return EXIT_USAGE
    if any(isinstance(error, EnvironmentFault | DeviceFault | DeliveryFault) for error in errors):
        return EXIT_ENVIRONMENT
    return EXIT_CHECK


def show(errors: Sequence[BansuiError], *, as_json: bool) -> None:
    """Write the errors to stderr: one JSON object, or a few lines each for a person."""
    if as_json:
        print(json.dumps({"errors": [error.as_dict() for error in errors]}, ensure_ascii=False), file=sys.stderr)
        return
    frame = _FRAME[language()]
    meanings = _meanings() if "meaning" in frame else {}
    bold, plain = ("\x1b[1;31m", "\x1b[0m") if _has_colour() else ("", "")
    for error in errors:
        print(f"{bold}{frame['error']}{plain}: {_shortened(error.what, frame['rest'])}", file=sys.stderr)
        if error.code in meanings:
            print(f"  {frame['meaning']}: {meanings[error.code]}", file=sys.stderr)
        for part in ("where", "why", "fix"):
            text = getattr(error, part)
            if text:
                print(f"  {frame[part]}: {translated(text)}", file=sys.stderr)
        if error.code not in _SAYS_NOTHING_MORE:
            print(f"  {frame['more']}: bansui explain {error.code}", file=sys.stderr)


def _shortened(what: str, rest: str) -> str:
    """The first line and the first mistakes under it, in the reader's language, and how many more there are."""
    first, *lines = what.split("\n")
    shown = [translated(line) for line in (first, *lines[:_MOST_LINES])]
    if len(lines) > _MOST_LINES:
        shown.append(f"  {rest.format(count=len(lines) - _MOST_LINES)}")
    return "\n".join(shown)


def _meanings() -> dict[str, str]:
    """What each code means, in the reader's language: what many an error says of itself is English."""
    from bansui.explanations import explanations  # noqa: PLC0415 - read when something failed, not at each start

    named = (entry for entry in explanations() if entry.kind == "error" and entry.code not in _SAYS_NOTHING_MORE)
    return {entry.code: entry.what[language()] for entry in named}


def translated(sentence: str) -> str:
    """A sentence of the code's or a library's in the reader's language, as far as bansui/*_zh.toml have it."""
    if language() == "en":
        return sentence
    from bansui.remedies import chinese, translate  # noqa: PLC0415 - as above

    return translate(sentence, chinese())


def language() -> str:
    """The reader's language, from the locale as POSIX orders its variables."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return "zh" if os.environ[name].startswith("zh") else "en"
    return "en"


def _has_colour() -> bool:
    """A terminal that was not asked to stay plain (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
