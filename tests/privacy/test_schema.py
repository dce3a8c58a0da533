"""Whatever devices send, what leaves is of the schema, declared, and no finer than its class may be told."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent import admission, lanes
from edge_agent.privacy import rules
from edge_agent.privacy.rules import Rule
from telemetry.places import CHANNEL
from tests.privacy.payloads import recorded, through_an_agent
from tests.support.memory import memory_folder

if TYPE_CHECKING:
    from collections.abc import Callable

A_LIFE: Final = 100


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False))
def test_no_payload_leaves_the_schema(rng: random.Random) -> None:
    """Twenty lives of a hundred payloads each."""
    with memory_folder("bansui-schema-") as folder:
        egress = through_an_agent(Path(folder), rng, A_LIFE, recorded())
        assert list(egress.faults()) == []


def test_much_leaves(tmp_path: Path) -> None:
    """The payloads are such that windows of every class are told: else the property says nothing."""
    devices = recorded()
    egress = through_an_agent(tmp_path, random.Random(5), 2_000, devices)
    assert egress.summaries > 500
    assert list(egress.faults()) == []
    assert len({each.binding.driver_id for each in devices}) > 15


def _tell_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rule, "told", lambda _self, fields: dict(fields))


def _tell_fine(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rules, "nearest", lambda number, _step: number)


def _tell_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rule, "window_at", lambda _self, time_ms, _timetable: (time_ms - time_ms % 60_000, 60))


def _take_channels(patch: pytest.MonkeyPatch) -> None:
    def is_channel(channel: str, _words: Any) -> bool:
        return not channel or CHANNEL.fullmatch(channel) is not None

    for module in (admission, lanes):
        patch.setattr(module, "is_channel", is_channel)
    patch.setattr("device_drivers.tasmota.driver.is_channel", is_channel)


@pytest.mark.parametrize("change", [_tell_all, _tell_fine, _tell_early, _take_channels])
def test_a_gate_that_is_open_is_seen(
    change: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that tells more, finer, earlier, or in a device's own words breaks the property."""
    change(monkeypatch)
    devices = [each for each in recorded() if each.binding.driver_id in ("tasmota", "zigbee2mqtt")]
    assert list(through_an_agent(tmp_path, random.Random(5), 2_000, devices).faults())
