"""Every sentence of the code that a person may be told when something is wrong, read from the sources."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bansui
from device_drivers.manifest import ManifestUnusable
from telemetry import ConfigurationError, plain_words
from tests.errors import ROOMS, every_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(bansui.__file__).parent.parent
SUGGESTIONS: Final = {
    "add `{} = …` here",
    "allowed: {}",
    "did you mean {}? (allowed: {})",
    "did you mean {}? there is: {}",
    "there is: {}",
}
"""What `suggest` and `what_would_do` say."""


COMPOSED: Final = {"{}: {}", "{}; {}", "{} (found {})", "{} (found {}); {}", "{}, from the scenario it is like"}
"""How a mistake is put together: where, what, what stands there, and what would do."""


@cache
def sentences() -> frozenset[str]:
    """Each one, with `{}` where something is put in.

    Every `fix=` and `why=`; every `what=` of the doctor's, which is no error, and told as a whole; and what is wrong
    with a call or a configuration file. What is wrong with a driver's own file is for its author.
    """
    found = SUGGESTIONS | COMPOSED | set(_of_plain_words())
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            found |= set(_of_module(ast.parse(path.read_text(encoding="utf-8")), path.relative_to(ROOT)))
    return frozenset(found)


def templates(node: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
    """The texts that an expression may be; `named` are the values of names in reach."""
    match node:
        case ast.Constant(value=str(text)) if text:
            yield re.sub(r"\{!r\}", "{}", text)
        case ast.JoinedStr(values=values):
            whole = "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in values)
            yield from (line for line in whole.split("\n") if line != "{}")
            for each in values:
                if isinstance(each, ast.FormattedValue) and isinstance(each.value, ast.Name):
                    yield from (text for text in templates(each.value, named) if _is_told_within(text))
        case ast.IfExp(body=body, orelse=orelse):
            yield from templates(body, named)
            yield from templates(orelse, named)
        case ast.Name(id=name):
            others = {other: values for other, values in named.items() if other != name}
            for value in named.get(name, ()):
                yield from templates(value, others)
        case ast.Call(func=ast.Attribute(attr="format" | "rstrip", value=value)):
            yield from templates(value, named)


def _of_plain_words() -> Iterator[str]:
    told = {**plain_words.SAID, **plain_words.WANTED}.values()
    return (re.sub(r"\{\w+\}", "{}", text) for text in told)


def _of_module(tree: ast.Module, path: Path) -> Iterator[str]:
    constants = _values(tree.body)
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names}
    checks_values = "BaseModel" in imported or "Table" in imported or "AfterValidator" in imported
    raisers = _ERRORS | ({"ValueError"} if checks_values and path.parts[0] != "device_drivers" else set())
    for scope in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))):
        named = constants if scope is tree else {**constants, **_values(ast.walk(scope))}
        for node in ast.walk(scope):
            for told in _told(node, raisers, tells_mistakes="Location" in imported or "timetables" in path.parts):
                yield from templates(told, named)
    for kind in ast.walk(tree):
        if isinstance(kind, ast.ClassDef) and kind.name in _ERRORS:
            for node in ast.walk(kind):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__" and node.args:
                    yield from templates(node.args[0], _values(ast.walk(kind)))


def _told(node: ast.AST, raisers: set[str], *, tells_mistakes: bool) -> Iterator[ast.expr]:
    """The expressions in a node that a person may read."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        yield from (each.value for each in node.keywords if each.arg in ("fix", "why"))
        yield from (each.value for each in node.keywords if each.arg == "what" and name == "Finding")
        if name in raisers and node.args:
            yield node.args[0]
        if name == "Mistake" and len(node.args) == 5:  # line, key, what is found, what is wrong, what would do
            yield from node.args[3:]
    elif tells_mistakes and isinstance(node, ast.Tuple) and len(node.elts) in (2, 3):
        yield from (each for each in node.elts[1:] if _is_a_sentence(each))
    elif tells_mistakes and isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
        yield from node.value.elts[1:]


def _is_told_within(text: str) -> bool:
    """Not so a list, a markup or a command, which are the same in every language."""
    return " " in text and "{}, {}" not in text and not text.startswith(("<!--", "nc ", "openssl "))


def _is_a_sentence(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr | ast.Constant) and " " in ast.unparse(node)


def _values(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """By name, all that it is set to."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found.setdefault(node.target.id, []).append(node.value)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


_ERRORS: Final = {
    error.__name__
    for error in every_error()
    if issubclass(error, ConfigurationError) and not issubclass(error, ManifestUnusable)
}
