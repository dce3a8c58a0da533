from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_sink.retention import Expiry
from cloud_sink.store import Count, Projected, Selection
from cloud_sink.store_duckdb import DuckDbStore
from telemetry import encode_all
from tests.cloud_sink.support import NOON_MS, QUARTER_MS, report, summary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from telemetry import Summary

ALL = (0, 10**13)
SINCE_NOON = (NOON_MS, ALL[1])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DuckDbStore]:
    opened = DuckDbStore(tmp_path / "summaries.duckdb")
    yield opened
    await opened.close()


def mean(value: int, quarter: int = 0, *, device: str = "co2-a-301", channel: str = "", revision: int = 0) -> Summary:
    fields = {"mean": value, "n": 15, "expected": 15}
    start_ms = NOON_MS + quarter * QUARTER_MS
    return summary(start_ms=start_ms, fields=fields, device=device, channel=channel, revision=revision)


async def test_the_position_and_the_rows_survive_a_restart_together(tmp_path: Path) -> None:
    before = DuckDbStore(tmp_path / "summaries.duckdb")
    assert await before.position() == 0
    await before.append(7, [Projected("edge-1", [mean(800)])])
    await before.close()
    after = DuckDbStore(tmp_path / "summaries.duckdb")
    assert await after.position() == 7
    assert await after.export("cn-002", *ALL) == [mean(800)]
    await after.close()


async def test_an_append_that_fails_moves_neither_rows_nor_position(
    store: DuckDbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.append(1, [Projected("edge-1", [mean(800)])])

    def fail(statement: str, rows: object) -> None:
        insert(statement, rows)
        raise duckdb.IOException("disk")

    insert = store._insert
    monkeypatch.setattr(store, "_insert", fail)
    with pytest.raises(duckdb.IOException):
        await store.append(2, [Projected("edge-1", [mean(900, 1)])])
    assert await store.position() == 1
    assert await store.export("cn-002", *ALL) == [mean(800)]


async def test_readers_see_the_highest_revision_whenever_it_came(store: DuckDbStore) -> None:
    await store.append(1, [Projected("edge-1", [mean(900, revision=2), mean(700)])])
    await store.append(2, [Projected("edge-1", [mean(800, revision=1)])])
    assert [found.fields["mean"] for found in await store.export("cn-002", *ALL)] == [900]
    assert [found.fields["mean"] for found in await store.range(Selection("cn-002"), *ALL)] == [900]
    assert [found.fields["mean"] for found in await store.latest(ALL[1])] == [900]


async def test_repeated_rows_are_told_once_and_counted(store: DuckDbStore) -> None:
    await store.append(1, [Projected("edge-1", [mean(800), mean(810, 1)]), Projected("edge-2", [mean(800)])])
    await store.append(2, [Projected("edge-1", [mean(800)])])
    assert len(await store.export("cn-002", *ALL)) == 2
    assert await store.counts() == {"edge-1": Count(rows=3, distinct=2), "edge-2": Count(rows=1, distinct=1)}


async def test_what_is_kept_long_enough_is_deleted_and_counted(store: DuckDbStore) -> None:
    """Once, however often its rows came; what is younger, another quantity or another window stays."""
    windows = [mean(800), mean(810, 1), mean(820, 2)]
    hourly = summary(start_ms=NOON_MS, window_s=3600, fields={"mean": 1, "n": 1, "expected": 60})
    await store.append(1, [Projected("edge-1", [*windows, hourly]), Projected("edge-2", [mean(800)])])
    await store.append(2, [Projected("edge-1", windows[:1])])
    expired = Expiry(["carbon_dioxide"], 900, 900, NOON_MS + 2 * QUARTER_MS)
    assert await store.forget([expired]) == 4
    assert await store.forget([expired]) == 0
    assert {found.start_ms for found in await store.export("cn-002", *ALL)} == {NOON_MS, windows[2].start_ms}
    counts = await store.counts()
    assert counts["edge-1"] == Count(rows=2, distinct=2, forgotten=2)
    assert counts["edge-2"] == Count(rows=0, distinct=0, forgotten=1)


async def test_a_range_has_the_windows_that_overlap_it_and_an_export_those_that_start_in_it(
    store: DuckDbStore,
) -> None:
    await store.append(1, [Projected("edge-1", [mean(800 + 10 * quarter, quarter) for quarter in range(4)])])
    inside = (NOON_MS + QUARTER_MS + 1, NOON_MS + 3 * QUARTER_MS)
    ranged = await store.range(Selection("cn-002", "a-301", "carbon_dioxide"), *inside)
    assert [found.fields["mean"] for found in ranged] == [810, 820]
    assert [found.fields["mean"] for found in await store.export("cn-002", *inside)] == [820]
    assert await store.range(Selection("cn-002", "a-302"), *ALL) == []
    assert await store.range(Selection("cn-002", quantity="temperature"), *ALL) == []


async def test_latest_is_the_window_that_ends_last_of_each_channel(store: DuckDbStore) -> None:
    hour = summary("carbon_dioxide", NOON_MS, {"mean": 777}, window_s=3600)
    other = mean(600, 0, device="co2-b", channel="1")
    await store.append(1, [Projected("edge-1", [mean(810, 1), hour, other, mean(800)])])
    assert await store.latest(ALL[1]) == [hour, other]
    assert await store.latest(NOON_MS + 2 * QUARTER_MS) == [mean(810, 1), other], "the hour is not over by then"


async def test_the_last_day_is_read_back_in_two_queries(store: DuckDbStore) -> None:
    """What the pages remember is rebuilt at a start from means, and from spans coarsened to quarter hours."""
    minute = summary("temperature", NOON_MS + 60_000, {"mean": 2000}, window_s=60, device="t")
    await store.append(1, [Projected("edge-1", [mean(900), mean(1200, 1), mean(1100, 1, revision=1), minute])])
    found = await store.means("carbon_dioxide", NOON_MS + 1, ALL[1])
    assert found == [("cn-002", "a-301", "co2-a-301", "", NOON_MS + QUARTER_MS, 1100)]
    spans = await store.spans(("carbon_dioxide", "temperature"), ("carbon_dioxide", 1000), *SINCE_NOON)
    assert sorted(spans) == [
        ("cn-002", "a-301", NOON_MS, 900, False),
        ("cn-002", "a-301", NOON_MS + QUARTER_MS, 900, True),
    ]
    assert await store.means("carbon_dioxide", NOON_MS + 1, NOON_MS + QUARTER_MS) == []
    assert await store.spans(("carbon_dioxide",), ("carbon_dioxide", 1000), NOON_MS + 1, NOON_MS + QUARTER_MS) == []
    assert await store.spans(("humidity",), ("carbon_dioxide", 1000), *SINCE_NOON) == []


async def test_the_last_report_of_each_agent_is_kept(store: DuckDbStore) -> None:
    await store.append(1, [Projected("edge-1", report=report(received=1))])
    await store.append(2, [Projected("edge-1", report=report(received=2))])
    assert await store.reports() == {"edge-1": report(received=2)}
    backlog = [Projected(agent, report=report(received=3 + n)) for n in range(5) for agent in ("edge-1", "edge-2")]
    await store.append(12, backlog)
    assert await store.reports() == {"edge-1": report(received=7), "edge-2": report(received=7)}
    assert store._select("SELECT count(*) FROM report") == [(2,)], "years of them would be read at each start"


SUMMARIES = [mean(800 + quarter, quarter) for quarter in range(5)] + [mean(950, 2, revision=1)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.sampled_from(SUMMARIES), max_size=12), size=st.integers(1, 4))
async def test_any_order_repetition_and_grouping_tells_the_same(
    order: list[Summary], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = DuckDbStore(tmp_path_factory.mktemp("store") / "summaries.duckdb")
    arriving = order + SUMMARIES
    for position in range(0, len(arriving), size):
        await store.append(position + 1, [Projected("edge-1", arriving[position : position + size])])
    expected = [*SUMMARIES[:2], SUMMARIES[5], *SUMMARIES[3:5]]
    assert encode_all(await store.export("cn-002", *ALL)) == encode_all(expected)
    await store.close()


async def test_what_left_is_counted_by_quantity_and_window_with_every_byte_of_its_lines(store: DuckDbStore) -> None:
    """Summaries, devices, bytes and fields of a day, of one school; every revision left, so every one counts."""
    rows = [
        mean(800),
        mean(850, 1, device="co2-b", channel="p1"),
        mean(850, 1, device="co2-b", channel="p1", revision=2),
        summary("carbon_dioxide", NOON_MS, {"mean": 400, "n": 1, "expected": 1}, window_s=3600),
        summary("temperature", NOON_MS, {"mean": -50, "min": -1234, "max": 0}, window_s=60),
        summary("temperature", NOON_MS, {"mean": 100_000, "n": 0}, window_s=60, device="t"),
        summary("energy", NOON_MS, {"delta": 7, "n": 15, "expected": 15}),
        summary("occupancy", NOON_MS, {"on_permille": 125}),
        summary("smoke", NOON_MS + 1000, {"last": 1}, window_s=1),
    ]
    elsewhere = [summary(school="cn-014"), mean(1, 100), mean(1, -1)]
    await store.append(1, [Projected("edge-1", [*rows, *elsewhere])])
    found = await store.left("cn-002", NOON_MS, NOON_MS + 4 * QUARTER_MS)
    told = {(left.last.series.quantity, left.last.series.window_s): left for left in found}
    assert len(told) == len(found) == 6
    for (name, window_s), left in told.items():
        of_it = [row for row in rows if (row.series.quantity, row.series.window_s) == (name, window_s)]
        assert left.summaries == len(of_it)
        assert left.devices == len({row.series.device for row in of_it})
        assert left.bytes == len(encode_all(of_it)), name
        assert set(left.fields) == {field for row in of_it for field in row.fields}
        assert left.last in of_it
    assert told["carbon_dioxide", 900].last == rows[2]


_LINES = st.builds(
    summary,
    st.sampled_from(["carbon_dioxide", "temperature", "energy", "power"]),
    st.integers(NOON_MS, NOON_MS + 10**6),
    st.dictionaries(
        st.sampled_from(["mean", "min", "max", "delta", "n", "expected"]),
        st.integers(-(10**15), 10**15),
        min_size=1,
    ),
    device=st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True),
    channel=st.from_regex(r"[a-z0-9_-]{0,16}", fullmatch=True),
    revision=st.integers(0, 10**6),
    window_s=st.integers(1, 86_400),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(_LINES, min_size=1, max_size=20))
async def test_the_length_of_a_line_is_that_of_its_text(store: DuckDbStore, rows: list[Summary]) -> None:
    """Whatever the numbers, signs, decimals and tags; each example is of a school of its own."""
    position = await store.position() + 1
    school = f"cn-{position:03}"
    of_it = [replace(row, series=replace(row.series, school=school)) for row in rows]
    await store.append(position, [Projected("edge-1", of_it)])
    found = await store.left(school, 0, 10**14)
    assert sum(left.bytes for left in found) == len(encode_all(of_it))
