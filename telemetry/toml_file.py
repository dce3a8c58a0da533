"""Where in a TOML file a value stands, so that a mistake can be named with its line.

Grammar: TOML v1.0.0, sections "Keys", "Table", "Array of Tables". The text must already have been parsed by
`tomllib`; this only finds positions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import tomllib
    from collections.abc import Callable, Iterator

Path = tuple[str | int, ...]

_KEY: Final = re.compile(r"""\s*(?:([A-Za-z0-9_-]+)|"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(\.?)""")
_TOKEN: Final = re.compile(
    r"\"\"\".*?(?<!\\)\"\"\"\"{0,2}|'''.*?'''|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|#[^\n]*|[\[\]{}\n]", re.DOTALL
)


def locate(text: str) -> Callable[[Path], int]:
    """Return a function from a value's path to its line, counted from 1.

    The path is keys and indices as in the parsed document: ("agent", 0, "token_file"). For a path that is not
    there (a key that is missing) the line of the nearest table or value around it is given.
    """
    lines: dict[Path, int] = {(): 1}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text):
        if statement.startswith("[["):
            table = _array_element(_keys(statement[2:]), counts)
        elif statement.startswith("["):
            table = _inside(_keys(statement[1:]), counts)
        else:
            key = (*table, *_keys(statement))
            for length in range(len(table) + 1, len(key)):
                lines.setdefault(key[:length], number)
            lines[key] = number
            lines.update({(*key, index): line for index, line in _tables_of_array(statement, number)})
            continue
        for length in range(1, len(table)):
            lines.setdefault(table[:length], number)
        lines[table] = number

    def line_of(path: Path) -> int:
        for length in range(len(path), 0, -1):
            if path[:length] in lines:
                return lines[path[:length]]
        return 1

    return line_of


def syntax_error_line(error: tomllib.TOMLDecodeError) -> int:
    """The line that `tomllib` names in its message; the first where it names none."""
    match = re.search(r"at line (\d+)", str(error))
    return int(match.group(1)) if match else 1


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each header or key with its value, and the line it begins on; a value may span several lines."""
    number, start, depth, begun = 1, 0, 0, 1
    for match in _TOKEN.finditer(f"{text}\n"):
        mark = match.group()
        if mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1
        elif mark == "\n" and depth <= 0:
            statement = text[start : match.start()].strip()
            if statement and not statement.startswith("#"):
                yield begun, statement
            start, depth, begun = match.end(), 0, number + 1
        number += mark.count("\n")


def _tables_of_array(statement: str, number: int) -> Iterator[tuple[int, int]]:
    """The index and the line of each inline table in a key's array; nothing where the value is something else."""
    depth, index = 0, 0
    for match in _TOKEN.finditer(statement):
        mark = match.group()
        if mark == "{" and depth == 1:
            yield index, number + statement.count("\n", 0, match.start())
            index += 1
        if mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1


def _keys(text: str) -> tuple[str, ...]:
    keys: list[str] = []
    position = 0
    while match := _KEY.match(text, position):
        bare, basic, literal, dot = match.groups()
        keys.append(next(part for part in (bare, basic, literal) if part is not None))
        position = match.end()
        if not dot:
            break
    return tuple(keys)


def _inside(keys: tuple[str, ...], counts: dict[Path, int]) -> Path:
    path: Path = ()
    for key in keys:
        path = (*path, key)
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _array_element(keys: tuple[str, ...], counts: dict[Path, int]) -> Path:
    array = (*_inside(keys[:-1], counts), keys[-1])
    counts[array] = counts.get(array, 0) + 1
    return (*array, counts[array] - 1)
