"""Frames decoded in a second by tables, against code written by hand, and against json.loads of what they hold."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from bench import _decoders
from device_drivers.contract import Frame, Settings
from device_drivers.registry import discover
from device_drivers.tables.checksums import crc16_modbus

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_drivers.contract import Decoded

_ROUNDS: Final = 20
_FRAMES: Final = 2000
_STATION: Final = {
    "wifi": -52, "serialno": "0000000000a1", "rco2": 778, "pm01": 22, "pm02": 34, "pm10": 41, "pm003Count": 270,
    "tvocIndex": 99, "tvocRaw": 31792, "noxIndex": 1, "noxRaw": 16931, "atmp": 27.96, "rhum": 48,
    "atmpCompensated": 22.17, "rhumCompensated": 47, "bootCount": 28, "ledMode": "co2", "firmware": "3.1.1",
}  # fmt: skip

FORMATS: Final[tuple[tuple[str, str, bytes, Callable[[Frame], Decoded]], ...]] = (
    ("airgradient", "", json.dumps(_STATION).encode(), _decoders.airgradient),
    (
        "plantower", "PMS5003",
        bytes.fromhex("424d001c00000008000800000008000800d20046002d001e00000000970002c5"), _decoders.plantower,
    ),
    ("mhz19", "", bytes.fromhex("ff86027b42000000bb"), _decoders.mhz19),
    (
        "pzem", "",
        bytes.fromhex("01041408d1006c000000f400000026000001f4006400005134"), _decoders.pzem(crc16_modbus),
    ),
    ("lorawan", "AM308", bytes.fromhex("0175640367ee000468 7c077da803097366 27".replace(" ", "")), _decoders.milesight),
    ("lg_display", "", b"a 01 OK01x", _decoders.lg_display),
)  # fmt: skip
"""Driver, model, a frame, and the same format by hand."""


def measure() -> None:
    """Print frames a second of each, the ratio of the times, and that to json.loads."""
    drivers = discover()
    for driver_id, model, payload, by_hand in FORMATS:
        by_table = drivers[driver_id].create(Settings(model=model)).decode
        frame = Frame(payload)
        text = payload if payload.startswith(b"{") else _as_json(by_table(frame))
        table = _best(partial(by_table, frame))
        hand = _best(partial(by_hand, frame))
        loads = _best(partial(json.loads, text))
        print(
            f"  {driver_id:12} {1 / table:10,.0f} frames/s   {table / hand:5.2f} x the time by hand"
            f"   {table / loads:5.2f} x json.loads"
        )


def _as_json(decoded: Decoded) -> bytes:
    """What a frame holds, as a device that publishes JSON would write it."""
    return json.dumps({m.quantity: round(m.value, 3) for m in decoded.measurements}).encode()


def _best(work: Callable[[], object]) -> float:
    """Seconds for one call, in the quickest of the rounds."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_FRAMES):
            work()
        best = min(best, time.perf_counter() - started)
    return best / _FRAMES
