"""A checkpoint of schema 4, in which each value of a window was a list of its own: it stands for the same windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw
import msgspec
import pytest

from edge_agent.store import Store, schema
from edge_agent.store.engine import FILE_NAME
from edge_agent.store.schema import in_one_list, sum_of
from tests.edge_agent.harness import HOUR, MINUTE, MONDAY_9, SECOND, Bench

if TYPE_CHECKING:
    from pathlib import Path


def in_pairs(checkpoint: bytes) -> bytes:
    """As schema 4 had it."""
    document: Any = msgspec.json.decode(checkpoint)
    windows = [window for *_, rows in document["series"] for window in rows]
    windows += [window for *_, lacking, late in document["late"]["series"] for window in (*lacking, *late)]
    for window in windows:
        window[-1] = _pairs(window[-1])
    assert any(len(window[-1]) > 1 for window in windows)
    return msgspec.json.encode(document)


def _pairs(numbers: list[int]) -> list[list[int]]:
    return [numbers[at : at + 2] for at in range(0, len(numbers), 2)]


def lived(folder: Path) -> Bench:
    """An agent with open windows, with one that lacks slots, and with readings that came late, all in a checkpoint."""
    bench = Bench(folder)
    for minute in (0, 1, 2, 31, 32):
        bench.until_closed(MONDAY_9 + minute * MINUTE + SECOND - bench.clock.now())
        bench.read("air", ["carbon_dioxide", 600 + minute, "", bench.clock.now()])
        bench.read("mast", ["temperature", 10 + minute])
    for minute in (5, 6):
        bench.read("air", ["carbon_dioxide", 900, "", MONDAY_9 + minute * MINUTE])
    bench.checkpoint()
    assert bench.core.state.windows.readings()
    assert len(bench.core.state.late)
    return bench


def as_of_schema_4(folder: Path, *, is_damaged: bool = False) -> None:
    """Rewrite the store's checkpoint, in a file without a log."""
    connection = apsw.Connection(str(folder / FILE_NAME))
    (state,) = connection.execute("SELECT state FROM checkpoint").fetchone() or (b"",)
    assert isinstance(state, bytes)
    earlier = in_pairs(state)
    kept = earlier.replace(b"600", b"601", 1) if is_damaged else earlier
    connection.execute("UPDATE checkpoint SET state = ?, sum = ?", (kept, sum_of(earlier)))
    connection.pragma("user_version", 4)
    connection.pragma("wal_checkpoint(TRUNCATE)")
    connection.close()


def test_an_agent_goes_on_with_it(tmp_path: Path) -> None:
    """Open windows, those that lack slots and what came late for them are the same; so is the balance."""
    bench = lived(tmp_path)
    windows, late = bench.core.state.windows, bench.core.state.late
    bench.stop()
    as_of_schema_4(tmp_path)
    bench.start()
    assert (bench.core.state.windows, bench.core.state.late) == (windows, late)
    assert bench.audit().faults == []
    bench.until_closed(HOUR)
    assert any("mean=6" in line for line in bench.told())
    bench.stop()


def test_a_damaged_one_is_not_taken_for_whole(tmp_path: Path) -> None:
    """It is brought up to date only where its sum is right: the store is mended, as it would have been before."""
    bench = lived(tmp_path)
    bench.stop()
    as_of_schema_4(tmp_path, is_damaged=True)
    bench.start()
    bench.stop()
    assert list(tmp_path.glob(f"{FILE_NAME}.corrupt-*"))


def test_one_that_is_salvaged_is_brought_up_to_date(tmp_path: Path) -> None:
    """The store around it is damaged: its windows are kept all the same."""
    bench = lived(tmp_path)
    windows = bench.core.state.windows
    bench.stop()
    as_of_schema_4(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "migrate", _finds_damage)
        store = Store(tmp_path, new_epoch=lambda: "0" * 16)
    assert store.load(0).checkpoint
    store.close()
    bench.start()
    assert bench.core.state.windows == windows
    bench.stop()


def _finds_damage(_connection: apsw.Connection, _found: int) -> None:
    raise apsw.CorruptError("a page is damaged")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"series": [[1, 2]]}', b'{"series": 1}'])
def test_what_is_no_checkpoint_stays_as_it_is(text: bytes) -> None:
    """Whoever reads it refuses it."""
    assert in_one_list(text) == text


def test_one_of_today_stays_as_it_is(tmp_path: Path) -> None:
    """Twice is once."""
    bench = lived(tmp_path)
    checkpoint = bench.core.state.checkpoint()
    bench.stop()
    assert in_one_list(in_pairs(checkpoint)) == checkpoint == in_one_list(checkpoint)
