"""`bench/decode`: what is compared is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.decode import FORMATS
from device_drivers.contract import Frame, Settings
from device_drivers.registry import named

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
