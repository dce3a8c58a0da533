"""The command's help in the reader's language: English stands in the code, Chinese in `help_zh.toml`."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def chinese() -> Mapping[str, str]:
    """Chinese help by its English text."""
    return tomllib.loads(resources.files("bansui").joinpath("help_zh.toml").read_text(encoding="utf-8"))


def translate(command: Any, words: Mapping[str, str]) -> None:
    """Put the words of another language into a command and all below it; what has none stays as it is."""
    for part in parts(command):
        part.help = words.get(_plain(part.help), part.help)


def texts(command: Any) -> set[str]:
    """Every English text of the help of a command and all below it."""
    return {_plain(part.help) for part in parts(command)}


def parts(command: Any) -> Iterator[Any]:
    """Each visible command and parameter that has a help."""
    for part in (command, *command.params):
        if getattr(part, "help", None) and not getattr(part, "hidden", False):
            yield part
    if isinstance(command, TyperGroup):
        for child in command.commands.values():
            if not child.hidden:
                yield from parts(child)


def _plain(text: str) -> str:
    return " ".join(text.split())
