"""What a real VictoriaMetrics has of a centre's summaries: each field of each, once, in whatever order they came."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from telemetry import quantity
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, running_centre, sealed, summary
from tests.faults.kill_victoria import config, lacks_nothing
from tests.support.victoria_metrics import VictoriaMetrics
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemetry import Summary

pytestmark = pytest.mark.victoria_metrics
WEEK_MS = 7 * 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VictoriaMetrics]:
    started = VictoriaMetrics(tmp_path / "victoria")
    yield started
    started.kill()


def samples_of(told: Summary) -> set[tuple[str, str, str, str, int, float]]:
    """Metric, device, channel, revision, time and value of each field, as docs/operations.md says."""
    entry, series = quantity(told.series.quantity), told.series
    revision = str(series.revision) if series.revision else ""
    return {
        (
            f"{series.quantity}_{name}",
            series.device,
            series.channel,
            revision,
            told.start_ms,
            number if name in ("n", "expected") else entry.to_value(number),
        )
        for name, number in told.fields.items()
    }


def test_repeated_shuffled_late_and_corrected_summaries_are_there_once(tmp_path: Path, store: VictoriaMetrics) -> None:
    batches = [
        [
            summary(start_ms=NOON_MS),
            summary("temperature", NOON_MS, {"mean": 215, "n": 15, "expected": 15}, device="t-1"),
        ],
        [summary(start_ms=NOON_MS + QUARTER_MS), summary(start_ms=NOON_MS + QUARTER_MS, channel="2")],
        [summary(start_ms=NOON_MS - WEEK_MS)],
        [summary(start_ms=NOON_MS, fields={"mean": 900, "n": 15, "expected": 15}, revision=1)],
    ]
    sent = [*enumerate(batches, start=1)] * 3
    random.Random(20261125).shuffle(sent)
    with running_centre(tmp_path, config=config(store)) as centre:
        for number, batch in sent:
            assert centre.post(sealed(*batch), number).status_code == 204
        wait_until(lambda: lacks_nothing(centre), 20, "VictoriaMetrics has everything")
        found = store.samples('{school="cn-002"}')
    expected = set().union(*(samples_of(told) for batch in batches for told in batch))
    rows = [
        (labels["__name__"], labels["device"], labels.get("channel", ""), labels.get("revision", ""), at, value)
        for labels, at, value in found
    ]
    assert len(rows) == len(set(rows))
    assert set(rows) == expected
    assert {labels["room"] for labels, *_ in found} == {"a-301"}
    assert {labels["window"] for labels, *_ in found} == {"900"}


def test_a_restarted_centre_changes_nothing(tmp_path: Path, store: VictoriaMetrics) -> None:
    """Nothing is settled within the first ten minutes: all of it is written again."""
    for sequence in (1, 2):
        with running_centre(tmp_path, config=config(store)) as centre:
            centre.write(summary(start_ms=NOON_MS + sequence * QUARTER_MS), sequence=sequence)
            wait_until(lambda: lacks_nothing(centre), 20, "VictoriaMetrics has everything")
    assert len(store.samples("carbon_dioxide_mean")) == 2
