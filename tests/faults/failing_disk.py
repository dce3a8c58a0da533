"""A disk of which one operation fails: an error of the device, no room, half a write, or a sync that did not happen."""

from __future__ import annotations

from collections import Counter
from typing import Final

import apsw

from tests.faults.vfs import PowerVFS, ShortWrite

FAULTS: Final[dict[str, tuple[str, type[apsw.Error]]]] = {
    "EIO at a write": ("write", apsw.IOError),
    "ENOSPC at a write": ("write", apsw.FullError),
    "a short write": ("write", ShortWrite),
    "EIO at a sync": ("sync", apsw.IOError),
    "EIO at a truncation": ("truncate", apsw.IOError),
    "EIO at a read": ("read", apsw.IOError),
    "EIO at a deletion": ("delete", apsw.IOError),
    "EIO at an opening": ("open", apsw.CantOpenError),
}
"""Which operation each befalls, and what SQLite hears of it."""


LASTING: Final = 6
"""Operations that fail in a row, where a fault lasts."""


class FailingDisk(PowerVFS):
    """Lets one operation fail, or some of its kind in a row, unless the disk is mended before."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.operations: Counter[str] = Counter()
        """How often each was asked for."""
        self.hits = 0
        self._fault = self._operation = ""
        self._failing = range(0)

    def befall(self, fault: str, number: int, *, is_lasting: bool) -> None:
        """Let the `number`-th operation of its kind fail, counted from the beginning of the disk's life."""
        self._fault, self._operation = fault, FAULTS[fault][0]
        self._failing = range(number, number + (LASTING if is_lasting else 1))

    def mend(self) -> None:
        """Let a fault that lasts be over."""
        self._failing = range(0)

    def before(self, operation: str) -> None:
        self.operations[operation] += 1
        if operation == self._operation and self.operations[operation] in self._failing:
            self.hits += 1
            raise FAULTS[self._fault][1]
