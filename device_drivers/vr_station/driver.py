"""VR stations: the health of a headset as its station publishes it, by the contract in this folder's README.md.

The contract has no place for what a person does with the headset. A frame with a key that names a person, a body or
a movement is refused whole: the sender is broken, and nothing of it is kept.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from device_drivers.contract import Decoded, FrameRefused
from device_drivers.json_table import JsonTable, parse_object
from device_drivers.manifest import load
from device_drivers.personal import refuse_personal

if TYPE_CHECKING:
    from device_drivers.contract import Frame, Settings

_VERSION: Final = 1
_ENVELOPE: Final = ("v", "time", "seq")
_LATEST_MS: Final = 10**14


def create(settings: Settings) -> VrStation:  # noqa: ARG001 - the contract's signature; there is one contract
    """The driver for one station."""
    return VrStation(_table())


@cache
def _table() -> JsonTable:
    """The fields of `driver.toml`, the same for every station."""
    return JsonTable.of(load(Path(__file__).parent).field, _ENVELOPE)


class VrStation:
    """Decodes version 1 of the VR station contract."""

    def __init__(self, table: JsonTable) -> None:
        self._table = table
        self._known = table.columns.keys() | table.envelope

    def decode(self, frame: Frame) -> Decoded:
        """Understand one publication. Raises `FrameRefused`."""
        document = parse_object(frame.payload)
        refuse_personal(document, self._known)
        if _whole(document.get("v")) != _VERSION:
            raise FrameRefused("version", "the frame is not of version 1 of the contract")
        time = _whole(document.get("time"))
        if not 0 < time < _LATEST_MS:
            raise FrameRefused("malformed", "time is not epoch milliseconds")
        return self._table.read(document, time)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
