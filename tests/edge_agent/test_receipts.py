"""Receipts: what is remembered of messages that may come again, in memory and on disk, and for how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.events import Arrival, Arrived, Batch
from edge_agent.receipts import FEWEST, MOST_RECEIPTS, MOST_SESSIONS, Receipts, pack
from edge_agent.store.engine import row
from edge_agent.transactions import Kind, Transaction
from tests.edge_agent.harness import MINUTE, Bench, frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "state")
    yield made
    made.stop()


def hear(bench: Bench, session: str, packet_ids: Iterable[int]) -> None:
    """Messages of a session, on disk and in memory; the mark is 7 times the packet id."""
    marks = pack({packet_id: 7 * packet_id for packet_id in packet_ids})
    bench.store.commit(Transaction(kind=Kind.JOURNAL, receipts={session: marks}))
    bench.core.state.receipts.remember(session, marks)


def next_minute(bench: Bench) -> None:
    """A minute goes by, and a checkpoint ends it."""
    bench.clock.advance(MINUTE)
    bench.checkpoint()


def newest(last: int, count: int) -> dict[int, int]:
    return {packet_id: 7 * packet_id for packet_id in range(last - count + 1, last + 1)}


def rows_of(bench: Bench, session: str) -> tuple[int, int]:
    """How many rows the store has of a session, and how many receipts in them."""
    query = "SELECT count(*), coalesce(sum(packets), 0) FROM receipt WHERE session = ?"
    rows, packets = row(bench.store._connection, query, (session,))
    return rows, packets


@pytest.mark.parametrize(
    ("a_minute", "kept"), [(1, FEWEST), (10, 100), (100, 1000), (300, MOST_RECEIPTS), (5000, MOST_RECEIPTS)]
)
def test_of_a_session_ten_minutes_are_kept(bench: Bench, a_minute: int, kept: int) -> None:
    """Of one that sends seldom, what it may have under way; of a fast one no more than a sender may; in one row."""
    minutes = 100
    for minute in range(minutes):
        hear(bench, "device", range(minute * a_minute + 1, (minute + 1) * a_minute + 1))
        next_minute(bench)
    expected = newest(minutes * a_minute, kept)
    assert bench.core.state.receipts.of("device") == expected
    assert rows_of(bench, "device") == (1, kept)
    bench.restart()
    assert bench.core.state.receipts.of("device") == expected


def test_a_session_that_is_silent_loses_nothing(bench: Bench) -> None:
    """What it had under way when it went may come again days later, whatever others send meanwhile."""
    hear(bench, "silent", range(1, 501))
    for minute in range(30):
        next_minute(bench)
        hear(bench, "other", range(10 * minute + 1, 10 * minute + 11))
    bench.restart()
    assert bench.core.state.receipts.of("silent") == newest(500, 500)


def test_of_the_last_minute_all_is_kept_however_often_there_is_a_checkpoint(bench: Bench) -> None:
    """Each start after a crash makes one, and each clock that is set: what came before may be under way still."""
    hear(bench, "broker", range(1, 901))
    for number in range(901, 911):
        bench.checkpoint()
        hear(bench, "broker", [number])
        bench.restart()
    assert bench.core.state.receipts.of("broker") == newest(910, 910)
    assert rows_of(bench, "broker")[0] == 1


def test_from_one_trim_to_the_next_it_is_a_minute(bench: Bench) -> None:
    """Also behind the first: what came since is not trimmed by each checkpoint of a busy minute."""
    next_minute(bench)
    hear(bench, "broker", range(1, 901))
    bench.checkpoint()
    hear(bench, "broker", [901])
    bench.checkpoint()
    assert bench.core.state.receipts.of("broker") == newest(901, 901)


def test_a_checkpoint_writes_nothing_of_sessions_that_said_nothing(bench: Bench) -> None:
    """A school's devices are many, and flash wears."""
    query = "SELECT position FROM receipt WHERE session = 'silent'"
    hear(bench, "silent", [1])
    next_minute(bench)
    before = row(bench.store._connection, query)
    hear(bench, "other", [1])
    next_minute(bench)
    assert row(bench.store._connection, query) == before


def test_between_checkpoints_memory_is_bounded(bench: Bench) -> None:
    for first in range(1, 10 * MOST_RECEIPTS, 500):
        hear(bench, "device", range(first, first + 500))
        assert len(bench.core.state.receipts.of("device")) <= 2 * MOST_RECEIPTS + 500
    assert bench.core.state.receipts.of("device").items() >= newest(10 * MOST_RECEIPTS, MOST_RECEIPTS).items()


def test_sessions_are_bounded_on_disk_as_in_memory(bench: Bench) -> None:
    """A client may make up a name for each connection; those that were heard last are kept."""

    def come(*sessions: str) -> None:
        receipts = {session: pack({1: 7}) for session in sessions}
        bench.store.commit(Transaction(kind=Kind.JOURNAL, receipts=receipts))
        for session, marks in receipts.items():
            bench.core.state.receipts.remember(session, marks)

    come("old", "gone", *map(str, range(MOST_SESSIONS // 2)))
    next_minute(bench)
    come("old", *map(str, range(MOST_SESSIONS // 2, MOST_SESSIONS - 1)))
    next_minute(bench)
    kept = list(bench.core.state.receipts)
    assert len(kept) == MOST_SESSIONS
    assert "gone" not in kept
    assert "old" in kept
    assert row(bench.store._connection, "SELECT count(*) FROM receipt")[0] == MOST_SESSIONS
    bench.restart()
    assert list(bench.core.state.receipts) == kept


def test_rows_of_before_become_one(bench: Bench) -> None:
    """An earlier version wrote one at each checkpoint: they are read in order, and written together."""
    for first in range(1, 101, 10):
        marks = pack({packet_id: 7 * packet_id for packet_id in range(first, first + 10)})
        row_of = ("device", len(marks), marks.tobytes())
        bench.store._connection.execute("INSERT INTO receipt (session, packets, marks) VALUES (?, ?, ?)", row_of)
    bench.restart()
    assert bench.core.state.receipts.of("device") == newest(100, 100)
    assert rows_of(bench, "device") == (10, 100)
    hear(bench, "device", [101])
    next_minute(bench)
    assert rows_of(bench, "device") == (1, FEWEST)
    assert bench.core.state.receipts.of("device") == newest(101, FEWEST)


def test_a_packet_id_that_is_used_again_stands_for_its_newest_message() -> None:
    receipts = Receipts()
    receipts.remember("device", pack({1: 10, 2: 20}))
    receipts.remember("device", pack({1: 11}))
    assert receipts.of("device") == {1: 11, 2: 20}
    assert receipts.of("stranger") == {}
    assert "device" in receipts
    assert "stranger" not in receipts


def test_ids_that_are_used_again_push_out_no_others() -> None:
    """A broker that begins its packet ids anew at each connection, ten times, beside what was under way before."""
    receipts = Receipts()
    receipts.remember("broker", pack(dict.fromkeys(range(1, 501), 1)))
    for connection in range(2, 12):
        receipts.remember("broker", pack(dict.fromkeys(range(60000, 60900), connection)))
    receipts.checkpoint(trims=True)
    found = receipts.of("broker")
    assert found == dict.fromkeys(range(1, 501), 1) | dict.fromkeys(range(60000, 60900), 11)


def test_a_slow_device_is_known_after_a_day(bench: Bench) -> None:
    """It sends again what it had under way, the newest of a day's messages, after a crash: a copy each."""
    for number in range(1, 201):
        arrival = Arrival(frame(["temperature", number / 10]), number)
        bench.play(Arrived([Batch([arrival], bench.clock.now(), "mast", session="slow")]))
        bench.settle()
        if number % 5 == 0:
            bench.checkpoint()
        bench.pass_time(MINUTE)
    bench.restart()
    again = [Arrival(frame(["temperature", number / 10]), number, duplicate=True) for number in range(181, 201)]
    bench.play(Arrived([Batch(again, bench.clock.now(), "mast", session="slow")]))
    bench.settle()
    found = bench.audit()
    assert found.balance["duplicate"] == 20
    assert found.faults == []
