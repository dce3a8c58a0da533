"""Which channels a driver may tell of: a closed set, since a channel is a tag of everything that leaves the school.

A device says much that could become one: names of sensors, of sections, of entities. None of it may be free text, or
a name or a number of somebody's would leave as one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

LONGEST: Final = 16
_NUMBER: Final = re.compile(r"\d{1,3}|0x[0-9a-f]{2}")
_MOST_DIGITS: Final = 4
"""Of all numbers together: a sensor and its phase, or an address on a bus, and never a number of somebody's."""


def is_channel(channel: str, words: AbstractSet[str]) -> bool:
    """Whether a channel is one that may be told of, or empty.

    It is a word of the driver's manifest, or such words and small numbers, joined by hyphens.
    """
    if not channel or channel in words:
        return True
    numbers = [part for part in channel.split("-") if part not in words]
    digits = sum(len(number) for number in numbers)
    return len(channel) <= LONGEST and digits <= _MOST_DIGITS and all(map(_NUMBER.fullmatch, numbers))


def words_in(name: str, words: AbstractSet[str]) -> str:
    """Of a name that a device or a person gave, what may be told of it: its known words, the last ones that fit."""
    kept: list[str] = []
    for part in reversed(re.findall(r"[a-z0-9]+", name.lower())):
        if part in words and len("-".join((part, *kept))) <= LONGEST:
            kept.insert(0, part)
    return "-".join(kept)
