"""The command's help in the reader's language: English stands in the code, Chinese in `help_zh.toml`.

What typer puts around it, such as `Usage:`, stands in `libraries_zh.toml`.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Words = Callable[[str], str]


def chinese() -> Mapping[str, str]:
    """Chinese help by its English text."""
    return tomllib.loads(resources.files("bansui").joinpath("help_zh.toml").read_text(encoding="utf-8"))


def translate(command: Any, words: Mapping[str, str], around: Words) -> None:
    """Put the words of another language into a command and all below it; what has none stays as it is.

    `around` gives those that typer puts around the help.
    """
    for part in parts(command):
        part.help = words.get(_plain(part.help), part.help)
    for each in _commands(command):
        each.context_class = _context_class(around)
        each.options_metavar = around(each.options_metavar)
        if isinstance(each, TyperGroup):
            each.subcommand_metavar = around(each.subcommand_metavar)


def texts(command: Any) -> set[str]:
    """Every English text of the help of a command and all below it."""
    return {_plain(part.help) for part in parts(command)}


def parts(command: Any) -> Iterator[Any]:
    """Each visible command and parameter that has a help."""
    for each in _commands(command):
        for part in (each, *each.params):
            if getattr(part, "help", None) and not getattr(part, "hidden", False):
                yield part


def _commands(command: Any) -> Iterator[Any]:
    yield command
    if isinstance(command, TyperGroup):
        for child in command.commands.values():
            if not child.hidden:
                yield from _commands(child)


def _context_class(around: Words) -> type[typer.Context]:
    """Contexts that show a help with these words around it."""

    class Formatter(typer.Context.formatter_class):  # type: ignore[valid-type,misc] # typer has no public name for it
        def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
            super().write_usage(prog, args, around(prefix or "Usage: "))

        def write_heading(self, heading: str) -> None:
            super().write_heading(around(heading))

        def write_dl(self, rows: Sequence[tuple[str, str]], *widths: int) -> None:
            super().write_dl([(first, _around_of(second, around)) for first, second in rows], *widths)

    class Context(typer.Context):
        formatter_class = Formatter

    return Context


def _around_of(text: str, around: Words) -> str:
    """A parameter's help; behind it typer says in brackets what its default is, and whether it has to be there."""
    found = re.fullmatch(r"(.*?)( *)\[([^\]]*)\]", text, re.DOTALL)
    if found is None:
        return around(text)
    said = "; ".join(around(each) for each in found[3].split("; "))
    return f"{found[1]}{found[2]}[{said}]"


def _plain(text: str) -> str:
    return " ".join(text.split())
