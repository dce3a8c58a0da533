from __future__ import annotations

import json
from typing import TYPE_CHECKING

from simulators.emissions import Emission
from simulators.sabotage import Sabotage, sabotaged

if TYPE_CHECKING:
    from collections.abc import Callable


def run(mode: Sabotage) -> tuple[list[Emission], int]:
    """What reaches the wire of 500 frames, and how many are confirmed when the wire confirms each."""
    wire: list[Emission] = []
    confirmed = 0

    def publish(emission: Emission, done: Callable[[], None]) -> None:
        wire.append(emission)
        done()

    def count() -> None:
        nonlocal confirmed
        confirmed += 1

    falsified = sabotaged(publish, mode)
    for number in range(500):
        payload = json.dumps({"co2": number, "last_seen": 10_000_000 + number}, separators=(",", ":")).encode()
        falsified(Emission("d", 10_000_000 + number, "t", payload, ()), count)
    return wire, confirmed


def test_drop_confirms_frames_that_never_reach_the_wire() -> None:
    wire, confirmed = run(Sabotage.DROP)
    assert (len(wire), confirmed) == (495, 500)


def test_double_puts_frames_on_the_wire_twice_and_confirms_them_once() -> None:
    wire, confirmed = run(Sabotage.DOUBLE)
    assert (len(wire), confirmed) == (505, 500)
    assert len({emission.payload for emission in wire}) == 500


def test_restamp_changes_the_stamp_and_nothing_else() -> None:
    wire, confirmed = run(Sabotage.RESTAMP)
    assert (len(wire), confirmed) == (500, 500)
    fields = [json.loads(emission.payload) for emission in wire]
    assert [field["co2"] for field in fields] == list(range(500))
    shifts = [field["last_seen"] - (10_000_000 + number) for number, field in enumerate(fields)]
    assert shifts.count(-900_000) == 5
    assert shifts.count(0) == 495
