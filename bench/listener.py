"""Messages a second by the agent's listener, durable, against the same publishers through Mosquitto."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench._load import Load
from bench._ratios import compare, part_of
from bench._runs import through_mosquitto, to_listener

if TYPE_CHECKING:
    from bench._report import Part

_FLOOD: Final = {"devices": 400, "connections": 16, "under_way": 500, "messages": 240_000}
_SCHOOL: Final = {"devices": 1000, "connections": 1000, "messages": 120_000}
LOADS: Final = {
    "16 connections, 500 under way, 1 field": Load(port=0, fields=1, **_FLOOD),
    "16 connections, 500 under way, 8 fields": Load(port=0, fields=8, **_FLOOD),
    "1,000 devices, 4 under way, 1 field": Load(port=0, fields=1, under_way=4, **_SCHOOL),
    "1,000 devices, 4 under way, 8 fields": Load(port=0, fields=8, under_way=4, **_SCHOOL),
    "1,000 devices, 1 under way, 8 fields": Load(port=0, fields=8, under_way=1, **_SCHOOL),
}


def measure() -> Part:
    """One row a load."""
    rows = [compare(name, to_listener, through_mosquitto, load) for name, load in LOADS.items()]
    return part_of(rows, "Mosquitto to mosquitto_sub")
