"""Messages a second by the agent as a subscriber, durable, against mosquitto_sub on the same Mosquitto."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench._load import Load
from bench._ratios import compare, part_of
from bench._runs import subscribed, through_mosquitto

if TYPE_CHECKING:
    from bench._report import Part

_FLOOD: Final = {"port": 0, "connections": 16, "under_way": 500, "messages": 160_000}
LOADS: Final = {
    "400 devices, 1 field": Load(devices=400, fields=1, **_FLOOD),
    "400 devices, 8 fields": Load(devices=400, fields=8, **_FLOOD),
    "4,000 devices, 1 field": Load(devices=4000, fields=1, **_FLOOD),
    "4,000 devices, 8 fields": Load(devices=4000, fields=8, **_FLOOD),
}


def measure() -> Part:
    """One row a load."""
    rows = [compare(name, subscribed, through_mosquitto, load) for name, load in LOADS.items()]
    return part_of(rows, "mosquitto_sub")
