"""`bench/decode`: what is compared is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.decode import FORMATS, richest
from device_drivers.contract import Frame, Settings
from device_drivers.registry import OURS, discover, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_drivers.contract import Decoded


@pytest.mark.parametrize(("driver_id", "model", "payload", "by_hand"), FORMATS, ids=lambda value: str(value)[:12])
def test_a_table_reads_of_a_frame_what_the_code_beside_it_reads(
    driver_id: str, model: str, payload: bytes, by_hand: Callable[[Frame], Decoded]
) -> None:
    by_table = named(driver_id).create(Settings(model=model)).decode(Frame(payload))
    found = {m.quantity: m.value for m in by_table.measurements}
    assert found
    assert found == pytest.approx({m.quantity: m.value for m in by_hand(Frame(payload)).measurements})


def test_every_family_is_measured_by_a_frame_that_is_decoded() -> None:
    families = {family for entry in discover().values() if entry.source == OURS for family in entry.manifest.families}
    measured = {family: driver.decode(frame) for family, driver, frame in richest()}
    assert families - measured.keys() == {"modbus-rs485-iaq"}  # whose registers are nowhere to be found
    without_readings = {family for family, decoded in measured.items() if not decoded.measurements}
    assert without_readings == {"modbus-rtu-framing"}  # which are of no table
