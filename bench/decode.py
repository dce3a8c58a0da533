"""Frames decoded in a second: tables against code by hand, then every family, against json.loads of what it says.

Of each family the recorded frame is decoded that says most.
"""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import device_drivers
from bench import _decoders
from device_drivers.cases import prepare
from device_drivers.conformance import fixture_cases
from device_drivers.contract import Frame, Settings
from device_drivers.registry import OURS, discover
from device_drivers.tables.checksums import crc16_modbus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device_drivers.contract import Decoded, Driver

_ROUNDS: Final = 20
_FRAMES: Final = 500
_DRIVERS: Final = Path(device_drivers.__file__).parent
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
    for family, driver, frame in richest():
        decoded = driver.decode(frame)
        text = frame.payload if frame.payload.startswith(b"{") else _as_json(decoded)
        once, loads = _best(partial(driver.decode, frame)), _best(partial(json.loads, text))
        count = len(decoded.measurements)
        print(f"  {family:24} {1 / once:10,.0f} frames/s   {count:3} readings   {once / loads:6.2f} x json.loads")


def richest() -> Iterator[tuple[str, Driver, Frame]]:
    """Of each family of every driver of ours, a driver and the recorded frame of which it makes the most readings."""
    drivers = discover()
    best: dict[str, tuple[int, Driver, Frame]] = {}
    for entry in drivers.values():
        for case in fixture_cases(_DRIVERS / entry.id) if entry.source == OURS else ():
            count = len(case["expect"].get("readings", {}))
            if "error" not in case["expect"] and count >= best.get(case["family"], (0,))[0]:
                ready = prepare(case, drivers)
                best[case["family"]] = count, ready.driver(), ready.frame
    for family in sorted(best):
        _, driver, frame = best[family]
        yield family, driver, frame


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
