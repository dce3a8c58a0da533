"""Values that a device names itself: which quantity a name and a unit stand for.

A driver's table has words for its keys. A name is understood when it ends with one of them, in whatever case, parted by
anything but letters and digits: `Room Temperature`, `air/temperature_2`. A number behind the word is the channel, or
one behind what owns the value: `probe-2/temperature`. Nothing else of a name is used or told.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from device_drivers.json_table import Column
from device_drivers.units import known_conversion
from telemetry import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from device_drivers.field_rows import FieldRow

MOST_REMEMBERED: Final = 1024
_LONGEST: Final = 128
_WORDS: Final = re.compile(r"[a-z0-9]+")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBERED: Final = re.compile(r"([a-z]+)(\d{1,2})")


class NamedValues:
    """A table of words, asked by name and unit."""

    def __init__(self, rows: Iterable[FieldRow]) -> None:
        self._columns = {row.key: Column.of(row) for row in rows}
        self._most_words = max((key.count("_") + 1 for key in self._columns), default=0)
        self.find = lru_cache(maxsize=MOST_REMEMBERED)(self._find)
        """The column of a name and a unit, with its channel, or None; a unit of "" is the vocabulary's own."""

    def _find(self, name: str, unit: str) -> Column | None:
        owner, _, own = name[-_LONGEST:].rpartition("/")
        words = _words(own)
        column = self._numbered(words) or self._ending(words)
        if column is None:
            return None
        if not column.channel:
            column = replace(column, channel=_number(_words(owner.rpartition("/")[2])))
        if not unit:
            return column
        converted = known_conversion(unit, quantity(column.quantity).unit)
        return None if converted is None else replace(column, factor=converted[0], shift=converted[1])

    def _ending(self, words: list[str]) -> Column | None:
        """The column of the most words that the name ends with."""
        for count in range(min(len(words), self._most_words), 0, -1):
            column = self._columns.get("_".join(words[-count:]))
            if column is not None:
                return column
        return None

    def _numbered(self, words: list[str]) -> Column | None:
        """The column of a name with a number behind its words, unless the number is part of a word."""
        if self._ending(words) is not None:
            return None
        number = _number(words)
        match = _NUMBERED.fullmatch(words[-1]) if words and not number else None
        if match is not None:
            words, number = [*words[:-1], match[1], ""], match[2].lstrip("0")
        column = self._ending(words[:-1]) if number else None
        return None if column is None else replace(column, channel=number)


def _words(name: str) -> list[str]:
    return _WORDS.findall(_CAMEL.sub("_", name).lower())


def _number(words: list[str]) -> str:
    """The small number that stands behind a name, parted from it."""
    return words[-1].lstrip("0") if words and words[-1].isdigit() and len(words[-1]) < 3 else ""
